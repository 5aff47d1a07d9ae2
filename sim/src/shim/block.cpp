// Drives one Verilog module through its ports. Every port is addressed by its index in mf_ports.inc;
// values travel as 64-bit chunks, least significant first (one chunk up to 64 bits).
#include "common.h"
#include <vector>

struct MfPort {
    void* data;
    size_t bytes;
    size_t chunks() const { return (bytes + 7) / 8; }

    void write(const uint64_t* value) const {
        switch (bytes) {
        case 1: *static_cast<CData*>(data) = static_cast<CData>(*value); break;
        case 2: *static_cast<SData*>(data) = static_cast<SData>(*value); break;
        case 4: *static_cast<IData*>(data) = static_cast<IData>(*value); break;
        case 8: *static_cast<QData*>(data) = *value; break;
        default: memcpy(data, value, bytes);
        }
    }

    void read(uint64_t* value) const {
        switch (bytes) {
        case 1: *value = *static_cast<CData*>(data); break;
        case 2: *value = *static_cast<SData*>(data); break;
        case 4: *value = *static_cast<IData*>(data); break;
        case 8: *value = *static_cast<QData*>(data); break;
        default:
            value[chunks() - 1] = 0;
            memcpy(value, data, bytes);
        }
    }
};

struct MfBlock : MfModel {
    std::vector<MfPort> ports;
    explicit MfBlock(const char* dir) : MfModel(dir) {
#define MF_PORT(name) ports.push_back({&top->name, sizeof(top->name)});
#include "mf_ports.inc"
#undef MF_PORT
    }

    void tick(uint32_t clk) {
        CData& clock = *static_cast<CData*>(ports[clk].data);
        half_cycle(clock, 0);
        half_cycle(clock, 1);
    }
};

MF_EXPORT MfBlock* mf_create(const char* memory_dir) { return new MfBlock(memory_dir); }
MF_EXPORT void mf_destroy(MfBlock* block) { delete block; }

MF_EXPORT void mf_poke(MfBlock* block, uint32_t port, const uint64_t* value) { block->ports[port].write(value); }
MF_EXPORT void mf_peek(MfBlock* block, uint32_t port, uint64_t* value) { block->ports[port].read(value); }

MF_EXPORT int mf_eval(MfBlock* block) {
    return block->guarded([&] {
        block->top->eval();
        return MF_OK;
    });
}

MF_EXPORT int mf_tick(MfBlock* block, uint32_t clk) {
    return block->guarded([&] {
        block->tick(clk);
        return MF_OK;
    });
}

// Feeds `count` vectors, one per cycle (or one per eval when clk < 0), and stores what the outputs show
// `latency` clock edges after each. in_data[i] / out_data[i] hold count x chunks() words of port i.
MF_EXPORT int mf_run(MfBlock* block, int64_t clk, uint64_t count, uint64_t latency, uint32_t inputs,
                     const uint32_t* in_ports, const uint64_t* const* in_data, uint32_t outputs,
                     const uint32_t* out_ports, uint64_t* const* out_data) {
    return block->guarded([&] {
        CData* clock = clk < 0 ? nullptr : static_cast<CData*>(block->ports[clk].data);
        for (uint64_t cycle = 0; cycle < count + latency; ++cycle) {
            if (cycle < count)
                for (uint32_t i = 0; i < inputs; ++i) {
                    const MfPort& port = block->ports[in_ports[i]];
                    port.write(in_data[i] + cycle * port.chunks());
                }
            if (clock) *clock = 0;
            block->top->eval();
            if (cycle >= latency)
                for (uint32_t i = 0; i < outputs; ++i) {
                    const MfPort& port = block->ports[out_ports[i]];
                    port.read(out_data[i] + (cycle - latency) * port.chunks());
                }
            if (clock) {
                *clock = 1;
                block->top->eval();
            }
        }
        return MF_OK;
    });
}
