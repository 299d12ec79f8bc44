// What Verilator's FST writer calls of zlib, so that a waveform needs no zlib headers on the machine.
// The writer stores whichever of "compressed" and original is smaller; a result of the same size as
// the original makes it store the original, so nothing here is ever read as a zlib stream.
#pragma once
#include <cstring>

typedef unsigned char Bytef;
typedef unsigned long uLong;
typedef unsigned long uLongf;
#define Z_OK 0

inline uLong compressBound(uLong size) { return size; }

inline int compress2(Bytef *target, uLongf *target_size, const Bytef *source, uLong size, int) {
    std::memcpy(target, source, size);
    *target_size = size;
    return Z_OK;
}
