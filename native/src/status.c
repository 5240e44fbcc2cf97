/* status.c: names, version, and the one function that fills an esp_error. */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>

#define ESP_VERSION "0.1.0"

const char *esp_version(void) {
    return ESP_VERSION;
}

const char *esp_status_name(int32_t status) {
    switch (status) {
    case ESP_OK: return "ESP_OK";
    case ESP_E_ARGUMENT: return "ESP_E_ARGUMENT";
    case ESP_E_LIMIT: return "ESP_E_LIMIT";
    case ESP_E_UTF8: return "ESP_E_UTF8";
    case ESP_E_MEMORY: return "ESP_E_MEMORY";
    case ESP_E_IO: return "ESP_E_IO";
    case ESP_E_FORMAT: return "ESP_E_FORMAT";
    case ESP_E_VERSION: return "ESP_E_VERSION";
    case ESP_E_CORRUPT: return "ESP_E_CORRUPT";
    case ESP_E_UNSUPPORTED: return "ESP_E_UNSUPPORTED";
    default: return "ESP_E_UNKNOWN";
    }
}

esp_status esp_error_set(esp_error *err, esp_status status, uint32_t section, uint64_t offset,
    const char *check, const char *format, ...) {
    if (err != NULL) {
        err->status = (int32_t)status;
        err->section = section;
        err->offset = offset;
        snprintf(err->check, sizeof err->check, "%s", check);
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

void esp_buffer_free(uint8_t *buffer) {
    free(buffer);
}
