// Memory behind the AXI4 ports of a design: latency, bandwidth of all ports and of each one, refresh
// gaps, random stalls; it checks the protocol, the burst rules of the ports, that nothing is read while it
// is written or written while it is read, and answers addresses that it does not have with a decode error.
#pragma once
#define MF_HP_MEMORY
#include "common.h"
#include "stall.h"
#include <deque>
#include <optional>
#include <vector>

// Set from Rust (`MemoryModel` in `memory.rs`).
struct MfMemory {
    uint64_t latency;        // cycles from a request to its first beat, from a last beat to its response
    uint64_t total, port;    // bytes per 1,000 cycles, all ports and each one
    uint64_t refresh_every, refresh_cycles;
    uint64_t base;           // address of the image
    uint64_t room;           // bytes behind the image that may be written
};

// The signals of an address channel.
struct AddressPins {
    IData& address;
    CData &len, &size, &burst, &cache, &prot, &valid, &ready;

    uint64_t payload() const {
        return address | uint64_t(len) << 32 | uint64_t(size) << 40 | uint64_t(burst) << 43 | uint64_t(cache) << 45 |
               uint64_t(prot) << 49;
    }
};

// The signals of a port's three write channels.
struct WritePins {
    AddressPins aw;
    const void* wdata;
    CData &wstrb, &wlast, &wvalid, &wready, &bresp, &bvalid, &bready;
};

// The signals of a port; a design without ports has none.
struct HpPort {
    AddressPins ar;
    void* rdata;
    CData &rresp, &rlast, &rvalid, &rready;
    std::optional<WritePins> write;
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
    void give_back(int bytes) { level += bytes * 1000; }
};

// Addresses from the first to before the last.
struct Range {
    uint64_t from, to;
    bool meets(const Range& other) const { return from < other.to && other.from < to; }
    bool holds(const Range& other) const { return from <= other.from && other.to <= to; }
};

struct HpMemory {
    static constexpr size_t ACCEPTED = 8;  // requests that a port takes ahead, of each direction

    struct Read {
        Range bytes;
        uint64_t next;   // address of the next beat
        uint64_t ready;  // cycle from which it may come
    };
    struct Reader {
        HpPort pins;
        std::deque<Read> bursts;
        Budget budget;
        StallSource ar_stall, r_stall;
        HeldCheck ar_held{"m_axi_hp ar"};
        bool offering = false;
    };
    struct Beat {
        uint64_t data;
        CData strobes;
    };
    struct Write {
        Range bytes;
        std::vector<Beat> beats;
        uint64_t ready;  // cycle from which the response may come, once all beats are there
    };
    struct Writer {
        WritePins pins;
        std::deque<Write> bursts;  // until their responses are taken
        size_t complete = 0;       // so many of them have all of their beats
        Budget budget;
        StallSource aw_stall, w_stall, b_stall;
        HeldCheck aw_held{"m_axi_hp aw"}, w_held{"m_axi_hp w"}, mark_held{"m_axi_hp w (strobes and last)"};
        bool answering = false;    // the first one's response is offered, its bytes can be read
    };
    std::vector<Reader> readers;
    std::vector<Writer> writers;
    std::vector<uint8_t> content;  // the image and the room behind it
    Range room{};
    MfMemory config{};
    Budget total;
    size_t turn = 0;
    bool wrote_last = false;  // the last beat was one of a write
    int beat_bytes;
    uint64_t bytes_read = 0, bytes_written = 0;

    HpMemory(const std::vector<HpPort>& pins, int bits) : beat_bytes(bits / 8) {
        config.refresh_every = 1;  // for a design that gets no memory
        for (const HpPort& port : pins) {
            readers.push_back(Reader{port});
            if (port.write) writers.push_back(Writer{*port.write});
        }
    }

    void load(const MfMemory& memory, const uint8_t* image, uint64_t bytes) {
        config = memory;
        content.assign(image, image + bytes);
        // neither zero nor the same everywhere, so that reading what was never written shows
        for (uint64_t i = 0; i < memory.room; ++i) content.push_back(static_cast<uint8_t>(i * 151) | 1);
        room = {memory.base + bytes, memory.base + content.size()};
        // what is lost in refresh gaps is made up for between them: rates are averages
        const uint64_t every = memory.refresh_every, busy = every - memory.refresh_cycles;
        total.set(memory.total * every / busy);
        for (Reader& reader : readers) reader.budget.set(memory.port * every / busy);
        for (Writer& writer : writers) writer.budget.set(memory.port * every / busy);
    }

    void reset() {
        for (Reader& reader : readers) {
            reader.bursts.clear();
            reader.offering = reader.ar_held.held = false;
            reader.pins.ar.ready = reader.pins.rvalid = 0;
        }
        for (Writer& writer : writers) {
            writer.bursts.clear();
            writer.complete = 0;
            writer.answering = writer.aw_held.held = writer.w_held.held = writer.mark_held.held = false;
            writer.pins.aw.ready = writer.pins.wready = writer.pins.bvalid = 0;
        }
    }

    // Before the logic settles: what the memory drives in this cycle.
    void drive(uint64_t cycle) {
        const bool refreshing = cycle % config.refresh_every < config.refresh_cycles;
        if (!refreshing) {
            total.fill();
            for (Reader& reader : readers) reader.budget.fill();
            for (Writer& writer : writers) writer.budget.fill();
        }
        turn = turn + 1 < readers.size() ? turn + 1 : 0;
        // Who had the last beat comes second, so that neither direction starves the other.
        const bool reads_first = wrote_last;
        if (reads_first) drive_reads(cycle, refreshing);
        drive_writes(cycle, refreshing);
        if (!reads_first) drive_reads(cycle, refreshing);
    }

    void drive_reads(uint64_t cycle, bool refreshing) {
        for (size_t i = 0; i < readers.size(); ++i) {
            Reader& reader = readers[(turn + i) % readers.size()];
            reader.pins.ar.ready = reader.bursts.size() < ACCEPTED && !reader.ar_stall.stall();
            if (!reader.offering) offer(reader, cycle, refreshing);
            reader.pins.rvalid = reader.offering;
        }
    }

    void drive_writes(uint64_t cycle, bool refreshing) {
        for (size_t i = 0; i < writers.size(); ++i) {
            Writer& writer = writers[(turn + i) % writers.size()];
            writer.pins.aw.ready = writer.bursts.size() < ACCEPTED && !writer.aw_stall.stall();
            writer.pins.wready = ready_for_beat(writer, refreshing);
            if (!writer.answering) answer(writer, cycle);
            writer.pins.bvalid = writer.answering;
        }
    }

    void offer(Reader& reader, uint64_t cycle, bool refreshing) {
        if (reader.bursts.empty() || reader.bursts.front().ready > cycle || refreshing) return noise(reader);
        if (!total.has(beat_bytes) || !reader.budget.has(beat_bytes) || reader.r_stall.stall()) return noise(reader);
        total.take(beat_bytes);
        reader.budget.take(beat_bytes);
        wrote_last = false;
        const Read& burst = reader.bursts.front();
        const uint64_t at = burst.next - config.base;
        const bool inside = burst.next >= config.base && at + beat_bytes <= content.size();
        reader.offering = true;
        reader.pins.rlast = burst.next + beat_bytes == burst.bytes.to;
        reader.pins.rresp = inside ? 0 : 3;
        if (inside) memcpy(reader.pins.rdata, &content[at], beat_bytes);
        else memset(reader.pins.rdata, 0xa5, beat_bytes);
    }

    // Without a beat the data lines carry anything; a design must not look at them.
    void noise(Reader& reader) {
        if (!reader.r_stall.active) return;
        const uint64_t any = reader.r_stall.next();
        memcpy(reader.pins.rdata, &any, beat_bytes);
        reader.pins.rlast = any >> 63;
        reader.pins.rresp = any >> 61 & 3;
    }

    // Only beats of accepted bursts are taken. The bytes are reserved until it is known whether one comes.
    bool ready_for_beat(Writer& writer, bool refreshing) {
        if (writer.complete == writer.bursts.size() || refreshing) return false;
        if (!total.has(beat_bytes) || !writer.budget.has(beat_bytes) || writer.w_stall.stall()) return false;
        total.take(beat_bytes);
        writer.budget.take(beat_bytes);
        return true;
    }

    // Offers the response of the first burst, from which on its bytes can be read.
    void answer(Writer& writer, uint64_t cycle) {
        if (writer.complete == 0 || writer.bursts.front().ready > cycle || writer.b_stall.stall()) {
            if (writer.b_stall.active) writer.pins.bresp = writer.b_stall.next() & 3;
            return;
        }
        const Write& burst = writer.bursts.front();
        const bool inside = room.holds(burst.bytes);
        writer.answering = true;
        writer.pins.bresp = inside ? 0 : 3;
        if (!inside) return;
        uint8_t* to = &content[burst.bytes.from - config.base];
        for (const Beat& beat : burst.beats)
            for (int i = 0; i < beat_bytes; ++i, ++to)
                if (beat.strobes >> i & 1) *to = static_cast<uint8_t>(beat.data >> 8 * i);
    }

    // After the logic settled: what is taken in this cycle. What ends in it is no hazard for a new request.
    void sample(uint64_t cycle) {
        for (Reader& reader : readers) end_read(reader);
        for (Writer& writer : writers) {
            end_write(writer);
            take_beat(writer, cycle);
        }
        for (Reader& reader : readers) request_read(reader, cycle);
        for (Writer& writer : writers) request_write(writer, cycle);
    }

    void end_read(Reader& reader) {
        if (!reader.offering || !reader.pins.rready) return;
        reader.offering = false;
        bytes_read += beat_bytes;
        Read& burst = reader.bursts.front();
        burst.next += beat_bytes;
        if (burst.next == burst.bytes.to) reader.bursts.pop_front();
    }

    void end_write(Writer& writer) {
        if (!writer.answering || !writer.pins.bready) return;
        writer.answering = false;
        writer.bursts.pop_front();
        --writer.complete;
    }

    void take_beat(Writer& writer, uint64_t cycle) {
        WritePins& p = writer.pins;
        uint64_t data = 0;
        memcpy(&data, p.wdata, beat_bytes);
        writer.w_held.sample(p.wvalid, p.wready, data, cycle);
        writer.mark_held.sample(p.wvalid, p.wready, p.wstrb | uint64_t(p.wlast) << 8, cycle);
        if (!p.wready) return;
        if (!p.wvalid) {
            total.give_back(beat_bytes);
            writer.budget.give_back(beat_bytes);
            return;
        }
        wrote_last = true;
        Write& burst = writer.bursts[writer.complete];
        burst.beats.push_back({data, p.wstrb});
        bytes_written += __builtin_popcount(p.wstrb);
        const uint64_t beat = burst.beats.size(), beats = (burst.bytes.to - burst.bytes.from) / beat_bytes;
        if (p.wlast != (beat == beats))
            mf_fail(MF_PROTOCOL, "cycle %llu: m_axi_hp wlast is %d at beat %llu of %llu of the burst at 0x%llx",
                    (unsigned long long)cycle, p.wlast, (unsigned long long)beat, (unsigned long long)beats,
                    (unsigned long long)burst.bytes.from);
        if (beat < beats) return;
        burst.ready = cycle + config.latency;
        ++writer.complete;
    }

    // Requests are checked from when they are offered: they might have been accepted at once.
    void request_read(Reader& reader, uint64_t cycle) {
        const AddressPins& ar = reader.pins.ar;
        if (!(ar.valid | reader.ar_held.held)) return;
        reader.ar_held.sample(ar.valid, ar.ready, ar.payload(), cycle);
        const Range bytes = requested(ar, cycle);
        for (const Writer& writer : writers)
            for (size_t i = writer.answering; i < writer.bursts.size(); ++i)
                if (bytes.meets(writer.bursts[i].bytes)) hazard(bytes, "reads what is still being written", cycle);
        if (ar.ready) reader.bursts.push_back({bytes, bytes.from, cycle + config.latency});
    }

    void request_write(Writer& writer, uint64_t cycle) {
        const AddressPins& aw = writer.pins.aw;
        if (!(aw.valid | writer.aw_held.held)) return;
        writer.aw_held.sample(aw.valid, aw.ready, aw.payload(), cycle);
        const Range bytes = requested(aw, cycle);
        for (const Reader& reader : readers)
            for (const Read& burst : reader.bursts)
                if (bytes.meets(burst.bytes)) hazard(bytes, "overwrites what is still being read", cycle);
        if (aw.ready) writer.bursts.push_back({bytes, {}, 0});
    }

    [[noreturn]] void hazard(const Range& bytes, const char* what, uint64_t cycle) {
        mf_fail(MF_PROTOCOL, "cycle %llu: burst of %llu bytes at 0x%llx %s", (unsigned long long)cycle,
                (unsigned long long)(bytes.to - bytes.from), (unsigned long long)bytes.from, what);
    }

    // The bytes of a burst that keeps the rules of the ports.
    Range requested(const AddressPins& p, uint64_t cycle) {
        const uint64_t address = p.address, bytes = uint64_t(p.len + 1) * beat_bytes;
        const char* wrong = p.len > 15                             ? "has more than 16 beats"
                            : (1 << p.size) != beat_bytes          ? "has beats narrower than the bus"
                            : p.burst != 1                         ? "is not incrementing"
                            : address % beat_bytes != 0            ? "is not aligned to its beats"
                            : address / 4096 != (address + bytes - 1) / 4096 ? "crosses a page of 4 KB"
                                                                   : nullptr;
        if (wrong)
            mf_fail(MF_PROTOCOL, "cycle %llu: burst of %d beats at 0x%llx %s", (unsigned long long)cycle, p.len + 1,
                    (unsigned long long)address, wrong);
        return {address, address + bytes};
    }
};
