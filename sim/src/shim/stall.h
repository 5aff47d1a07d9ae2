// Random stalls and the check of the valid/ready rule, for streams and memory ports.
#pragma once
#include "common.h"

// Random stalls in phases of 64 to 319 cycles, each with its own rate, so that long bursts, long gaps
// and single-cycle patterns all occur.
struct StallSource {
    uint64_t state = 0;
    bool active = false;
    uint32_t left = 0, rate = 0;

    uint64_t next() {  // splitmix64
        uint64_t z = (state += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    bool stall() {
        if (!active) return false;
        if (left == 0) {
            static const uint32_t rates[] = {0, 32, 128, 224, 250};  // of 256
            const uint64_t r = next();
            left = 64 + (r & 255);
            rate = rates[(r >> 8) % 5];
        }
        --left;
        return (next() & 255) < rate;
    }
};

// A valid/ready channel seen from its receiver: valid must stay, and the payload with it, until ready.
struct HeldCheck {
    const char* name;
    bool held = false;
    uint64_t payload = 0;

    void sample(bool valid, bool ready, uint64_t now, uint64_t cycle) {
        if (held && !valid)
            mf_fail(MF_PROTOCOL, "cycle %llu: %s valid dropped before ready", (unsigned long long)cycle, name);
        if (held && now != payload)
            mf_fail(MF_PROTOCOL, "cycle %llu: %s payload changed from 0x%llx to 0x%llx while stalled",
                    (unsigned long long)cycle, name, (unsigned long long)payload, (unsigned long long)now);
        held = valid && !ready;
        payload = now;
    }
};
