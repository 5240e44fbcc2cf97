/* session_file.h: the file under a session table: made whole or not at all,
 * checked before it is trusted, mapped, and who has it open. */
#ifndef ESP_SESSION_FILE_H
#define ESP_SESSION_FILE_H

#include "session_table.h"

/* Maps the table at `path`, making it for `capacity` sessions where there is
 * none; without a path, or on a full disk, in memory.  Fills base, bytes, fd,
 * backing, os_error, the geometry and the pointers of `table`, which is zero. */
esp_status esp_session_file_map(
    esp_sessions *table, const char *path, uint64_t capacity, esp_error *err);

/* Takes a place in the process table, held until the file is closed, by
 * whatever end the process comes to.  Fills me and incarnation. */
esp_status esp_session_file_join(esp_sessions *table, esp_error *err);

/* Whether the process that wrote `owner` still has the table open. */
bool esp_session_file_alive(const esp_sessions *table, uint64_t owner);

/* Places of the process table that are held, this one included. */
uint32_t esp_session_file_openings(const esp_sessions *table);

/* Unmaps and closes what esp_session_file_map() made, as far as it came. */
void esp_session_file_unmap(esp_sessions *table);

#endif
