/* crc32c.c: CRC-32C (Castagnoli), eight bytes a step by eight tables.
 *
 * The tables are made at compile time by nested macros nobody could read, or at
 * run time under a once-flag nobody needs: here they are computed on the stack
 * for large inputs only, which costs 2,048 steps against millions of bytes, and
 * small inputs go bit by bit.  No global, no lock. */
#include "base.h"

enum { ESP_CRC_POLYNOMIAL_TABLES = 8, ESP_CRC_SMALL = 4096 };

static const uint32_t crc_polynomial = 0x82F63B78u; /* reversed 0x1EDC6F41 */

static uint32_t crc_bits(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int i = 0; i < 8; i++)
        crc = (crc >> 1) ^ (crc_polynomial & (0u - (crc & 1u)));
    return crc;
}

uint32_t esp_crc32c(uint32_t crc, const uint8_t *data, size_t length) {
    crc = ~crc;
    size_t i = 0;
    if (length >= ESP_CRC_SMALL) {
        uint32_t table[ESP_CRC_POLYNOMIAL_TABLES][256];
        for (uint32_t b = 0; b < 256; b++)
            table[0][b] = crc_bits(0, (uint8_t)b);
        for (uint32_t b = 0; b < 256; b++)
            for (int t = 1; t < ESP_CRC_POLYNOMIAL_TABLES; t++)
                table[t][b] = (table[t - 1][b] >> 8) ^ table[0][table[t - 1][b] & 0xFFu];
        for (; i + 8 <= length; i += 8) {
            uint32_t low = 0;
            uint32_t high = 0;
            memcpy(&low, data + i, 4);
            memcpy(&high, data + i + 4, 4);
            low ^= crc;
            crc = table[7][low & 0xFFu] ^ table[6][(low >> 8) & 0xFFu] ^
                  table[5][(low >> 16) & 0xFFu] ^ table[4][low >> 24] ^ table[3][high & 0xFFu] ^
                  table[2][(high >> 8) & 0xFFu] ^ table[1][(high >> 16) & 0xFFu] ^
                  table[0][high >> 24];
        }
    }
    for (; i < length; i++)
        crc = crc_bits(crc, data[i]);
    return ~crc;
}
