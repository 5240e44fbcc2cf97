/* writer.c: writing an index so that there is always a whole one.
 *
 * Sections go to a temporary file in the target's folder; the header is written
 * last, over a blank one.  fsync, rename, fsync of the folder: a crash at any
 * point leaves the old file or the new one. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"

struct esp_writer {
    int file;
    char *path;
    char *temporary;
    uint64_t at;
    uint64_t fingerprint;
    bool failed; /* a section is incomplete: there is nothing to publish */
    uint32_t n_sections;
    esp_file_section table[ESP_MAX_SECTIONS];
};

static esp_status io_error(esp_error *err, const char *check, const char *what) {
    const int why = errno;
    return esp_error_set(
        err, ESP_E_IO, 0, (uint64_t)why, check, "cannot %s the index: %s", what, strerror(why));
}

static esp_status write_all(esp_writer *writer, const void *data, uint64_t length, esp_error *err) {
    const uint8_t *from = data;
    while (length > 0) {
        const size_t step = length < (1u << 30) ? (size_t)length : (size_t)1 << 30;
        const ssize_t written = write(writer->file, from, step);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            writer->failed = true;
            return io_error(err, "write", "write");
        }
        from += written;
        length -= (uint64_t)written;
        writer->at += (uint64_t)written;
    }
    return ESP_OK;
}

static esp_status pad(esp_writer *writer, uint32_t alignment, esp_error *err) {
    static const uint8_t zeros[ESP_ALIGNMENT];
    const uint64_t past = writer->at % alignment;
    return past == 0 ? ESP_OK : write_all(writer, zeros, alignment - past, err);
}

static void writer_free(esp_writer *writer) {
    if (writer->file >= 0)
        close(writer->file);
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

void esp_writer_abort(esp_writer *writer) {
    if (writer == NULL)
        return;
    if (writer->file >= 0)
        unlink(writer->temporary);
    writer_free(writer);
}

/* A new file beside the target, with the permissions the umask leaves.  The
 * process number keeps writers apart; what a killed one left is stepped over. */
static esp_status create_temporary(esp_writer *writer, esp_error *err) {
    enum { ATTEMPTS = 1000, SUFFIX = 40 };
    const size_t room = strlen(writer->path) + SUFFIX;
    writer->temporary = esp_alloc(room, 1);
    if (writer->temporary == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "writer", 0, "no memory to write an index");
    for (int i = 0; i < ATTEMPTS; i++) {
        snprintf(writer->temporary, room, "%s.%ld-%d.tmp", writer->path, (long)getpid(), i);
        writer->file =
            open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)0666);
        if (writer->file >= 0)
            return ESP_OK;
        if (errno != EEXIST)
            break;
    }
    return io_error(err, "create", "create");
}

esp_status esp_writer_open(
    const char *path, uint64_t fingerprint, esp_writer **writer, esp_error *err) {
    const size_t length = strlen(path);
    esp_writer *made = calloc(1, sizeof *made);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "writer", 0, "no memory to write an index");
    made->file = -1;
    made->fingerprint = fingerprint;
    made->path = esp_alloc(length + 1, 1);
    esp_status status = ESP_OK;
    if (made->path == NULL) {
        status = esp_error_set(err, ESP_E_MEMORY, 0, 0, "writer", "no memory to write an index");
    } else {
        memcpy(made->path, path, length + 1);
        status = create_temporary(made, err);
    }
    const esp_file_header blank = {0};
    if (status == ESP_OK)
        status = write_all(made, &blank, sizeof blank, err);
    if (status != ESP_OK) {
        esp_writer_abort(made);
        return status;
    }
    *writer = made;
    return ESP_OK;
}

esp_status esp_writer_add(
    esp_writer *writer, uint32_t id, const uint8_t *data, uint64_t length, esp_error *err) {
    if (writer->n_sections == ESP_MAX_SECTIONS)
        ESP_FAIL(err, ESP_E_ARGUMENT, "sections", writer->n_sections, "at most %u sections",
            ESP_MAX_SECTIONS);
    for (uint32_t i = 0; i < writer->n_sections; i++)
        if (writer->table[i].id == id)
            ESP_FAIL(err, ESP_E_ARGUMENT, "id", id, "section written twice");
    ESP_TRY(pad(writer, ESP_ALIGNMENT, err));
    writer->table[writer->n_sections++] = (esp_file_section){
        .id = id,
        .crc = esp_crc32c(0, data, (size_t)length),
        .offset = writer->at,
        .length = length,
    };
    return write_all(writer, data, length, err);
}

/* The rename is durable only when the folder is synced too. */
static esp_status sync_folder(const char *path, esp_error *err) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = esp_alloc(length + 1, 1);
    if (folder == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "writer", 0, "no memory to write an index");
    memcpy(folder, slash == NULL ? "." : path, length);
    folder[length] = '\0';
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (file < 0)
        return io_error(err, "folder", "open the folder of");
    const int result = fsync(file);
    const int why = errno;
    close(file);
    errno = why;
    /* Some file systems do not sync folders and say so; the rename is done. */
    return result == 0 || why == EINVAL ? ESP_OK : io_error(err, "folder", "sync the folder of");
}

static esp_status finish(esp_writer *writer, esp_error *err) {
    if (writer->failed)
        ESP_FAIL(err, ESP_E_IO, "write", 0, "an earlier write of the index failed");
    ESP_TRY(pad(writer, 8, err));
    const uint64_t table_bytes = writer->n_sections * sizeof(esp_file_section);
    esp_file_header head = {
        .magic = ESP_MAGIC,
        .major = ESP_FORMAT_MAJOR,
        .minor = ESP_FORMAT_MINOR,
        .endian = ESP_ENDIAN_MARK,
        .fingerprint = writer->fingerprint,
        .table_offset = writer->at,
        .n_sections = writer->n_sections,
        .table_crc = esp_crc32c(0, (const uint8_t *)writer->table, (size_t)table_bytes),
    };
    ESP_TRY(write_all(writer, writer->table, table_bytes, err));
    head.file_bytes = writer->at;
    head.header_crc = esp_crc32c(0, (const uint8_t *)&head, offsetof(esp_file_header, header_crc));
    if (lseek(writer->file, 0, SEEK_SET) != 0)
        return io_error(err, "seek", "write");
    ESP_TRY(write_all(writer, &head, sizeof head, err));
    if (fsync(writer->file) != 0)
        return io_error(err, "sync", "sync");
    if (rename(writer->temporary, writer->path) != 0)
        return io_error(err, "rename", "rename");
    return ESP_OK;
}

esp_status esp_writer_finish(esp_writer *writer, esp_error *err) {
    const esp_status status = finish(writer, err);
    if (status != ESP_OK) {
        esp_writer_abort(writer);
        return status;
    }
    const esp_status synced = sync_folder(writer->path, err);
    writer_free(writer);
    return synced;
}
