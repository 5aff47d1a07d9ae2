// Memory behind the AXI4 read ports of a design: latency, bandwidth of all ports and of each one, refresh
// gaps, random stalls; it checks the protocol, the burst rules of the ports, and answers addresses
// outside of its image with a decode error.
#pragma once
#define MF_HP_MEMORY
#include "common.h"
#include "stall.h"
#include <deque>
#include <vector>

// Set from Rust (`MemoryModel` in `memory.rs`).
struct MfMemory {
    uint64_t latency;        // cycles from a request to its first beat
    uint64_t total, port;    // bytes per 1,000 cycles, all ports and each one
    uint64_t refresh_every, refresh_cycles;
    uint64_t base;           // address of the image
};

// The signals of a port; a design without ports has none.
struct HpPort {
    IData& araddr;
    CData &arlen, &arsize, &arburst, &arvalid, &arready;
    void* rdata;
    CData &rresp, &rlast, &rvalid, &rready;
};

// A reservoir of bytes that fills at a rate; a burst may be served ahead.
struct Budget {
    int64_t rate = 0, level = 0, most = 0;
    void set(uint64_t bytes_per_1000) {
        rate = static_cast<int64_t>(bytes_per_1000);
        most = rate + 16 * 8 * 1000;
        level = 0;
    }
    void fill() { level = level + rate < most ? level + rate : most; }
    bool has(int bytes) const { return level >= bytes * 1000; }
    void take(int bytes) { level -= bytes * 1000; }
};

struct HpMemory {
    static constexpr size_t ACCEPTED = 8;  // requests that a port takes ahead

    struct Burst {
        uint64_t address, ready;
        int left;
    };
    struct Side {
        HpPort pins;
        std::deque<Burst> bursts;
        Budget budget;
        StallSource ar_stall, r_stall;
        HeldCheck ar_held{"m_axi_hp ar"};
        bool offering = false;
    };
    std::vector<Side> sides;
    std::vector<uint8_t> image;
    MfMemory config{};
    Budget total;
    size_t turn = 0;
    int beat_bytes;
    uint64_t bytes_read = 0;

    HpMemory(const std::vector<HpPort>& pins, int bits) : beat_bytes(bits / 8) {
        for (const HpPort& port : pins) sides.push_back(Side{port});
    }

    void configure(const MfMemory& memory) {
        config = memory;
        // what is lost in refresh gaps is made up for between them: rates are averages
        const uint64_t every = memory.refresh_every, busy = every - memory.refresh_cycles;
        total.set(memory.total * every / busy);
        for (Side& side : sides) side.budget.set(memory.port * every / busy);
    }

    void reset() {
        for (Side& side : sides) {
            side.bursts.clear();
            side.offering = false;
            side.ar_held.held = false;
            side.pins.arready = side.pins.rvalid = 0;
        }
    }

    // Before the logic settles: what the memory drives in this cycle.
    void drive(uint64_t cycle) {
        const bool refreshing = cycle % config.refresh_every < config.refresh_cycles;
        if (!refreshing) {
            total.fill();
            for (Side& side : sides) side.budget.fill();
        }
        turn = turn + 1 < sides.size() ? turn + 1 : 0;
        for (size_t i = 0; i < sides.size(); ++i) {
            Side& side = sides[(turn + i) % sides.size()];
            side.pins.arready = side.bursts.size() < ACCEPTED && !side.ar_stall.stall();
            if (!side.offering) offer(side, cycle, refreshing);
            side.pins.rvalid = side.offering;
        }
    }

    void offer(Side& side, uint64_t cycle, bool refreshing) {
        if (side.bursts.empty() || side.bursts.front().ready > cycle || refreshing) return noise(side);
        if (!total.has(beat_bytes) || !side.budget.has(beat_bytes) || side.r_stall.stall()) return noise(side);
        total.take(beat_bytes);
        side.budget.take(beat_bytes);
        const Burst& burst = side.bursts.front();
        const uint64_t at = burst.address - config.base;
        const bool inside = burst.address >= config.base && at + beat_bytes <= image.size();
        side.offering = true;
        side.pins.rlast = burst.left == 1;
        side.pins.rresp = inside ? 0 : 3;
        if (inside) memcpy(side.pins.rdata, &image[at], beat_bytes);
        else memset(side.pins.rdata, 0xa5, beat_bytes);
    }

    // Without a beat the data lines carry anything; a design must not look at them.
    void noise(Side& side) {
        if (!side.r_stall.active) return;
        const uint64_t any = side.r_stall.next();
        memcpy(side.pins.rdata, &any, beat_bytes);
        side.pins.rlast = any >> 63;
        side.pins.rresp = any >> 61 & 3;
    }

    // After the logic settled: what is taken in this cycle.
    void sample(uint64_t cycle) {
        for (Side& side : sides) {
            HpPort& p = side.pins;
            if (p.arvalid | side.ar_held.held) {
                side.ar_held.sample(p.arvalid, p.arready, p.araddr | uint64_t(p.arlen) << 32, cycle);
                if (p.arvalid && p.arready) request(side, cycle);
            }
            if (side.offering && p.rready) {
                side.offering = false;
                bytes_read += beat_bytes;
                Burst& burst = side.bursts.front();
                burst.address += beat_bytes;
                if (--burst.left == 0) side.bursts.pop_front();
            }
        }
    }

    void request(Side& side, uint64_t cycle) {
        HpPort& p = side.pins;
        const uint64_t address = p.araddr, bytes = uint64_t(p.arlen + 1) * beat_bytes;
        const char* wrong = p.arlen > 15                           ? "has more than 16 beats"
                            : (1 << p.arsize) != beat_bytes        ? "has beats narrower than the bus"
                            : p.arburst != 1                       ? "is not incrementing"
                            : address % beat_bytes != 0            ? "is not aligned to its beats"
                            : address / 4096 != (address + bytes - 1) / 4096 ? "crosses a page of 4 KB"
                                                                   : nullptr;
        if (wrong)
            mf_fail(MF_PROTOCOL, "cycle %llu: burst of %d beats at 0x%llx %s", (unsigned long long)cycle, p.arlen + 1,
                    (unsigned long long)address, wrong);
        side.bursts.push_back({address, cycle + config.latency, p.arlen + 1});
    }
};
