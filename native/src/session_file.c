/* session_file.c: see session_file.h. */
#define _GNU_SOURCE /* memfd_create, O_TMPFILE, locks of open files */

#include "session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, OPEN_ATTEMPTS = 100, OWNER_ONLY = 0600, OTHERS = 077 };

/* ---- geometry ------------------------------------------------------------- */

static uint64_t round_up(uint64_t x, uint64_t to) {
    return (x + to - 1) / to * to;
}

static uint64_t bitmap_bytes(uint32_t n_slots) {
    return round_up(n_slots, 512) / 8;
}

static uint64_t slots_offset(uint32_t n_slots, uint32_t n_buckets) {
    return round_up(ESP_SESSIONS_FIXED + bitmap_bytes(n_slots) +
                        (uint64_t)n_buckets * sizeof(esp_sessions_bucket),
        4096);
}

static uint64_t file_bytes(uint32_t n_slots, uint32_t n_buckets) {
    return slots_offset(n_slots, n_buckets) + (uint64_t)n_slots * sizeof(esp_sessions_slot);
}

static uint32_t header_sum(const esp_sessions_header *head) {
    return esp_crc32c(0, (const uint8_t *)head, offsetof(esp_sessions_header, header_crc));
}

static esp_status new_header(esp_sessions_header *head, uint64_t capacity, esp_error *err) {
    memset(head, 0, sizeof *head);
    memcpy(head->magic, ESP_SESSIONS_MAGIC, sizeof head->magic);
    head->endian = ESP_SESSIONS_ENDIAN;
    head->major = ESP_SESSIONS_MAJOR;
    head->capacity = capacity;
    const uint64_t reserve = ESP_SESSIONS_RESERVE + capacity / ESP_SESSIONS_RESERVE_SHARE;
    head->n_slots = (uint32_t)round_up(capacity + reserve, ESP_SESSIONS_SLOTS_PER_BUCKET);
    head->n_buckets = head->n_slots / ESP_SESSIONS_SLOTS_PER_BUCKET;
    head->file_bytes = file_bytes(head->n_slots, head->n_buckets);
    if (getrandom(&head->secret, sizeof head->secret, 0) != (ssize_t)sizeof head->secret)
        ESP_FAIL(
            err, ESP_E_IO, "getrandom", 0, "the system gives no random key: %s", strerror(errno));
    head->header_crc = header_sum(head);
    return ESP_OK;
}

/* SH1 to SH4.  `head` is the beginning of the file, copied. */
static esp_status check_header(
    const esp_sessions_header *head, size_t got, uint64_t length, esp_error *err) {
    if (got < sizeof *head || memcmp(head->magic, ESP_SESSIONS_MAGIC, sizeof head->magic) != 0)
        ESP_FAIL(err, ESP_E_FORMAT, "SH1", 0,
            "not a session table: the file does not begin with its signature");
    if (head->endian != ESP_SESSIONS_ENDIAN)
        ESP_FAIL(err, ESP_E_FORMAT, "SH1", offsetof(esp_sessions_header, endian),
            "the table comes from a machine of another byte order");
    if (head->major != ESP_SESSIONS_MAJOR)
        ESP_FAIL(err, ESP_E_VERSION, "SH2", offsetof(esp_sessions_header, major),
            "session table of version %u; this library uses version %d", head->major,
            ESP_SESSIONS_MAJOR);
    if (header_sum(head) != head->header_crc)
        ESP_FAIL(err, ESP_E_CORRUPT, "SH3", offsetof(esp_sessions_header, header_crc),
            "the header of the session table is damaged");
    if (head->n_slots > 2u * ESP_SESSIONS_MAX_CAPACITY ||
        head->n_slots % ESP_SESSIONS_SLOTS_PER_BUCKET != 0 ||
        head->n_buckets != head->n_slots / ESP_SESSIONS_SLOTS_PER_BUCKET || head->n_buckets < 2 ||
        head->capacity >= head->n_slots ||
        head->file_bytes != file_bytes(head->n_slots, head->n_buckets) ||
        head->file_bytes != length)
        ESP_FAIL(err, ESP_E_CORRUPT, "SH4", length,
            "the session table has %llu bytes, its header says %llu: it was cut short or "
            "appended to",
            (unsigned long long)length, (unsigned long long)head->file_bytes);
    return ESP_OK;
}

/* ---- making ----------------------------------------------------------------- */

static bool disk_full(int error) {
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static bool write_whole(int fd, const void *data, size_t length, off_t at) {
    const uint8_t *bytes = data;
    while (length > 0) {
        const ssize_t done = pwrite(fd, bytes, length, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        length -= (size_t)done;
        at += done;
    }
    return true;
}

/* All slots are free: everything else begins as zeros. */
static bool write_fresh(int fd, const esp_sessions_header *head) {
    uint8_t block[4096];
    const uint64_t bytes = bitmap_bytes(head->n_slots);
    for (uint64_t done = 0; done < bytes; done += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++) {
            const uint64_t first = (done + i) * 8;
            const uint64_t left = first < head->n_slots ? head->n_slots - first : 0;
            block[i] = (uint8_t)(left >= 8 ? 0xFFu : (1u << left) - 1);
        }
        const uint64_t size = bytes - done < sizeof block ? bytes - done : sizeof block;
        if (!write_whole(fd, block, (size_t)size, (off_t)(ESP_SESSIONS_FIXED + done)))
            return false;
    }
    return write_whole(fd, head, sizeof *head, 0);
}

/* A file in the folder of `path` that has no name yet, or one in `name`. */
static int open_nameless(const char *path, char name[PATH_BYTES]) {
    const char *slash = strrchr(path, '/');
    const int folder = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    name[0] = '\0';
    char text[PATH_BYTES];
    const int length = snprintf(text, sizeof text, "%.*s", folder, slash == NULL ? "." : path);
    if (length < 0 || (size_t)length >= sizeof text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int fd = open(text, O_TMPFILE | O_RDWR | O_CLOEXEC, OWNER_ONLY);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return -1;
    const int needed =
        snprintf(name, PATH_BYTES, "%s.%016llx.new", path, (unsigned long long)number);
    if (needed < 0 || needed >= PATH_BYTES) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, OWNER_ONLY);
}

/* Gives the finished file its name; fails with EEXIST where somebody was first. */
static bool name_it(int fd, const char *name, const char *path) {
    if (name[0] != '\0')
        return link(name, path) == 0;
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* A new table appears under `path` whole, allocated, or not at all.  Returns its
 * descriptor, or -1 with errno. */
static int create(const char *path, const esp_sessions_header *head) {
    char name[PATH_BYTES];
    const int fd = open_nameless(path, name);
    if (fd < 0)
        return -1;
    /* With the umask of a stranger the mode could be narrower than asked for. */
    int error = fchmod(fd, OWNER_ONLY) == 0 ? 0 : errno;
    while (error == 0 || error == EINTR) {
        error = posix_fallocate(fd, 0, (off_t)head->file_bytes);
        if (error != EINTR)
            break;
    }
    if (error == 0)
        error = write_fresh(fd, head) && name_it(fd, name, path) ? 0 : errno;
    if (name[0] != '\0')
        unlink(name);
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

static int create_in_memory(const esp_sessions_header *head) {
    const int fd = memfd_create("espalier-sessions", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fchmod(fd, OWNER_ONLY) == 0 && ftruncate(fd, (off_t)head->file_bytes) == 0 &&
        write_fresh(fd, head))
        return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* ---- mapping ---------------------------------------------------------------- */

static esp_status check_file(int fd, esp_sessions_header *head, esp_error *err) {
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        ESP_FAIL(err, ESP_E_IO, "fstat", 0, "session table: %s", strerror(errno));
    if (!S_ISREG(facts.st_mode))
        ESP_FAIL(err, ESP_E_FORMAT, "SH1", 0, "the session table is no regular file");
    if (facts.st_uid != geteuid())
        ESP_FAIL(err, ESP_E_FORMAT, "SH5", facts.st_uid,
            "the session table belongs to user %u, not to this one", (unsigned)facts.st_uid);
    if ((facts.st_mode & OTHERS) != 0 && fchmod(fd, OWNER_ONLY) != 0)
        ESP_FAIL(err, ESP_E_IO, "fchmod", 0,
            "others may read the session table, and that cannot be changed: %s", strerror(errno));
    const ssize_t got = pread(fd, head, sizeof *head, 0);
    if (got < 0)
        ESP_FAIL(err, ESP_E_IO, "pread", 0, "session table: %s", strerror(errno));
    return check_header(head, (size_t)got, (uint64_t)facts.st_size, err);
}

static esp_status map_it(esp_sessions *table, const esp_sessions_header *head, esp_error *err) {
    if (head->file_bytes > SIZE_MAX)
        ESP_FAIL(err, ESP_E_MEMORY, "mmap", 0, "the session table is larger than memory can be");
    void *base =
        mmap(NULL, (size_t)head->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, table->fd, 0);
    if (base == MAP_FAILED)
        ESP_FAIL(err, errno == ENOMEM ? ESP_E_MEMORY : ESP_E_IO, "mmap", 0, "session table: %s",
            strerror(errno));
    /* What people typed has no place in a core dump. */
    madvise(base, (size_t)head->file_bytes, MADV_DONTDUMP);
    table->base = base;
    table->bytes = head->file_bytes;
    table->n_slots = head->n_slots;
    table->n_buckets = head->n_buckets;
    table->n_words = (uint32_t)(bitmap_bytes(head->n_slots) / 8);
    table->capacity = head->capacity;
    table->secret = head->secret;
    table->head = base;
    table->process = (void *)(table->base + ESP_SESSIONS_PROCESS_OFFSET);
    table->bitmap = (void *)(table->base + ESP_SESSIONS_FIXED);
    table->bucket = (void *)(table->base + ESP_SESSIONS_FIXED + bitmap_bytes(head->n_slots));
    table->slot = (void *)(table->base + slots_offset(head->n_slots, head->n_buckets));
    return ESP_OK;
}

/* The file's descriptor, made if there was none; -1 with errno.  Another process
 * may make it, or remove it, between our looking and our making. */
static int open_or_create(const char *path, const esp_sessions_header *fresh) {
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = create(path, fresh);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

esp_status esp_session_file_map(
    esp_sessions *table, const char *path, uint64_t capacity, esp_error *err) {
    esp_sessions_header head;
    table->fd = -1;
    ESP_TRY(new_header(&head, capacity, err));
    if (path != NULL) {
        table->backing = ESP_SESSIONS_FILE;
        table->fd = open_or_create(path, &head);
        if (table->fd < 0 && !disk_full(errno))
            ESP_FAIL(err, ESP_E_IO, "open", 0, "session table: %s", strerror(errno));
        if (table->fd < 0)
            table->os_error = errno;
    }
    if (table->fd < 0) {
        table->backing = ESP_SESSIONS_MEMORY;
        table->fd = create_in_memory(&head);
        if (table->fd < 0)
            ESP_FAIL(err, ESP_E_MEMORY, "memfd", 0, "no memory for the session table: %s",
                strerror(errno));
    }
    ESP_TRY(check_file(table->fd, &head, err));
    return map_it(table, &head, err);
}

void esp_session_file_unmap(esp_sessions *table) {
    if (table->base != NULL)
        munmap(table->base, (size_t)table->bytes);
    if (table->fd >= 0)
        close(table->fd);
}

/* ---- who has it open ---------------------------------------------------------- */

/* The lock of a place lies on its own number.  It belongs to the open file,
 * so the kernel lets go of it when the process ends, however it ends. */
static struct flock lock_of(uint32_t place, short type) {
    return (struct flock){.l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)(ESP_SESSIONS_PROCESS_OFFSET + 4 * (uint64_t)place),
        .l_len = 1};
}

esp_status esp_session_file_join(esp_sessions *table, esp_error *err) {
    for (uint32_t place = 0; place < ESP_SESSIONS_PROCESSES; place++) {
        struct flock lock = lock_of(place, F_WRLCK);
        if (fcntl(table->fd, F_OFD_SETLK, &lock) == 0) {
            table->me = place;
            table->incarnation =
                (atomic_fetch_add(&table->process[place], 1) + 1) & ESP_INCARNATION_MASK;
            return ESP_OK;
        }
        if (errno != EAGAIN && errno != EACCES)
            ESP_FAIL(err, ESP_E_IO, "fcntl", 0, "the session table cannot be locked: %s",
                strerror(errno));
    }
    ESP_FAIL(err, ESP_E_LIMIT, "processes", ESP_SESSIONS_PROCESSES,
        "%d processes have the session table open, which is the limit", ESP_SESSIONS_PROCESSES);
}

static bool is_held(const esp_sessions *table, uint32_t place) {
    struct flock lock = lock_of(place, F_WRLCK);
    /* If the kernel cannot say, nothing is taken away from anybody. */
    return fcntl(table->fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool esp_session_file_alive(const esp_sessions *table, uint64_t owner) {
    const uint32_t place = esp_owner_process(owner);
    const uint64_t incarnation = atomic_load(&table->process[place]) & ESP_INCARNATION_MASK;
    if (esp_owner_incarnation(owner) != incarnation)
        return false;
    return place == table->me || is_held(table, place);
}

uint32_t esp_session_file_openings(const esp_sessions *table) {
    uint32_t n = 0;
    for (uint32_t place = 0; place < ESP_SESSIONS_PROCESSES; place++)
        n += place == table->me || is_held(table, place);
    return n;
}
