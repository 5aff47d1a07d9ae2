// Runs whole inferences of a macforge design: resets it, feeds AXI4-Stream words, collects AXI4-Stream
// words, reads AXI4-Lite registers, and checks the handshake rules in every cycle.
#include "common.h"
#include "memory.h"
#include "mf_top.h"
#include "stall.h"
#include "verilated_sym_props.h"
#include <vector>

namespace {

constexpr uint64_t AXIL_TIMEOUT = 1000;  // cycles that a register access may take

struct Memory {
    const uint8_t* data;
    size_t entry_bytes, entries;
};

struct System : MfModel {
    uint64_t cycle = 0;
    // one inference
    const uint32_t* input = nullptr;
    uint32_t* output = nullptr;
    uint64_t input_count = 0, input_sent = 0, output_count = 0, output_got = 0;
    // words up to the end of each tensor, the last one the stream's
    const uint64_t *input_ends = nullptr, *output_ends = nullptr;
    uint64_t last_input_cycle = 0, last_output_cycle = 0, progress_cycle = 0, max_idle = 0;
    uint32_t last_keep = 0;
    bool running = false, offering = false;
    StallSource in_stall, out_stall, axil_stall;
    HeldCheck out_held{"m_axis"}, read_held{"s_axil r"}, write_held{"s_axil b"};
    HpMemory memory;
    // layers
    const CData* layer_done = nullptr;
    Memory layer_index{};
    uint32_t finished_layer = 0;
    std::vector<Memory> probes;

    explicit System(const char* dir) : MfModel(dir), memory(mf_hp_ports(*top), MF_HP_BITS) {}

    // Drives the streams and settles the logic with the clock low; checks what the design shows.
    void settle() {
        Vdut& d = *top;
        if (!offering && running && input_sent < input_count && !in_stall.stall()) {
            offering = true;
            d.s_axis_tdata = input[input_sent];
            while (*input_ends <= input_sent) ++input_ends;
            d.s_axis_tlast = input_sent + 1 == *input_ends;
        } else if (!offering && in_stall.active) {  // a design must not look at these
            const uint64_t noise = in_stall.next();
            d.s_axis_tdata = static_cast<uint32_t>(noise);
            d.s_axis_tlast = noise >> 63;
        }
        d.s_axis_tvalid = offering;
        d.m_axis_tready = running && output_got < output_count && !out_stall.stall();
        if (MF_HP_PORTS && !d.rst) memory.drive(cycle);
        half_cycle(d.clk, 0);
        if (d.rst) return;
        if (MF_HP_PORTS) memory.sample(cycle);
        if (d.m_axis_tvalid | out_held.held) receive();
        if (offering && d.s_axis_tready) {
            offering = false;
            ++input_sent;
            last_input_cycle = progress_cycle = cycle;
        }
    }

    void receive() {
        Vdut& d = *top;
        const bool last = d.m_axis_tlast;
        const uint64_t payload =
            d.m_axis_tdata | uint64_t(d.m_axis_tkeep) << 32 | uint64_t(last) << 36;
        out_held.sample(d.m_axis_tvalid, d.m_axis_tready, payload, cycle);
        if (output_got == output_count)
            mf_fail(MF_PROTOCOL, "cycle %llu: m_axis offers a word after the last of %llu",
                    (unsigned long long)cycle, (unsigned long long)output_count);
        if (!d.m_axis_tready) return;
        while (*output_ends <= output_got) ++output_ends;
        const bool wanted = output_got + 1 == *output_ends;
        if (last != wanted)
            mf_fail(MF_PROTOCOL, "cycle %llu: m_axis tlast is %d at word %llu of %llu", (unsigned long long)cycle,
                    last, (unsigned long long)output_got + 1, (unsigned long long)output_count);
        const uint32_t keep = d.m_axis_tkeep;
        if (wanted ? (keep == 0 || (keep & (keep + 1)) != 0) : keep != 15)
            mf_fail(MF_PROTOCOL, "cycle %llu: m_axis tkeep is 0x%x at word %llu of %llu", (unsigned long long)cycle,
                    keep, (unsigned long long)output_got + 1, (unsigned long long)output_count);
        if (input_sent != input_count)
            mf_fail(MF_PROTOCOL, "cycle %llu: m_axis gives a word when only %llu of %llu input words were taken",
                    (unsigned long long)cycle, (unsigned long long)input_sent, (unsigned long long)input_count);
        last_keep = keep;
        output[output_got++] = d.m_axis_tdata;
        last_output_cycle = progress_cycle = cycle;
    }

    void edge() {
        half_cycle(top->clk, 1);
        ++cycle;
    }

    void reset() {
        Vdut& d = *top;
        running = offering = false;
        memory.reset();
        out_held.held = read_held.held = write_held.held = false;
        d.s_axis_tlast = d.s_axil_awvalid = d.s_axil_wvalid = d.s_axil_bready = 0;
        d.s_axil_arvalid = d.s_axil_rready = 0;
        d.rst = 1;
        for (int i = 0; i < 8; ++i) settle(), edge();
        d.rst = 0;
    }

    uint32_t read(uint32_t address) {
        Vdut& d = *top;
        bool pending = true;  // address not taken yet
        d.s_axil_araddr = address;
        d.s_axil_arvalid = 1;
        for (uint64_t i = 0; i < AXIL_TIMEOUT; ++i) {
            d.s_axil_rready = !axil_stall.stall();
            settle();
            const bool valid = d.s_axil_rvalid;
            const uint32_t data = d.s_axil_rdata, response = d.s_axil_rresp;
            if (valid && pending)
                mf_fail(MF_PROTOCOL, "cycle %llu: s_axil answers a read that was not accepted", (unsigned long long)cycle);
            read_held.sample(valid, d.s_axil_rready, data | uint64_t(response) << 32, cycle);
            const bool taken = d.s_axil_arvalid && d.s_axil_arready;
            const bool done = valid && d.s_axil_rready;
            edge();
            if (taken) {
                pending = false;
                d.s_axil_arvalid = 0;
            }
            if (!done) continue;
            d.s_axil_rready = 0;
            if (response != 0)
                mf_fail(MF_PROTOCOL, "register read at 0x%03x answers with error %u", address, response);
            return data;
        }
        mf_fail(MF_HANG, "register read at 0x%03x has no answer after %llu cycles", address,
                (unsigned long long)AXIL_TIMEOUT);
    }

    void write(uint32_t address, uint32_t data) {
        Vdut& d = *top;
        d.s_axil_awaddr = address;
        d.s_axil_wdata = data;
        d.s_axil_wstrb = 15;
        bool address_left = true, data_left = true;
        for (uint64_t i = 0; i < AXIL_TIMEOUT; ++i) {
            // Address and data may come in any order; once offered they stay.
            if (address_left && !axil_stall.stall()) d.s_axil_awvalid = 1;
            if (data_left && !axil_stall.stall()) d.s_axil_wvalid = 1;
            d.s_axil_bready = !axil_stall.stall();
            settle();
            const bool valid = d.s_axil_bvalid;
            const uint32_t response = d.s_axil_bresp;
            if (valid && (address_left || data_left))
                mf_fail(MF_PROTOCOL, "cycle %llu: s_axil answers a write that was not accepted", (unsigned long long)cycle);
            write_held.sample(valid, d.s_axil_bready, response, cycle);
            const bool address_taken = d.s_axil_awvalid && d.s_axil_awready;
            const bool data_taken = d.s_axil_wvalid && d.s_axil_wready;
            const bool done = valid && d.s_axil_bready;
            edge();
            if (address_taken) address_left = false, d.s_axil_awvalid = 0;
            if (data_taken) data_left = false, d.s_axil_wvalid = 0;
            if (!done) continue;
            d.s_axil_bready = 0;
            if (response != 0)
                mf_fail(MF_PROTOCOL, "register write at 0x%03x answers with error %u", address, response);
            return;
        }
        mf_fail(MF_HANG, "register write at 0x%03x has no answer after %llu cycles", address,
                (unsigned long long)AXIL_TIMEOUT);
    }

    // Up to `limit` cycles of the inference; stops early when it is done or a watched layer finished.
    MfStatus run(uint64_t limit) {
        for (uint64_t i = 0; i < limit; ++i) {
            settle();
            const bool layer_finished = layer_done && *layer_done;
            if (layer_finished) {
                finished_layer = 0;
                memcpy(&finished_layer, layer_index.data, layer_index.entry_bytes);
            }
            // the request comes with the last word, or when the design stopped for an error
            const bool stopped = top->irq && output_got < output_count;
            edge();
            if (stopped) return MF_STOPPED;
            if (output_got == output_count) running = false;
            if (layer_finished) return MF_SNAPSHOT;
            if (!running) return MF_DONE;
            if (cycle - progress_cycle > max_idle)
                mf_fail(MF_HANG, "no progress for %llu cycles at cycle %llu; %llu of %llu input words taken, %llu of %llu output words given",
                        (unsigned long long)max_idle, (unsigned long long)cycle, (unsigned long long)input_sent,
                        (unsigned long long)input_count, (unsigned long long)output_got,
                        (unsigned long long)output_count);
        }
        return MF_OK;
    }

    // Signals made readable by the control file, by hierarchical name below the top module.
    Memory find(const std::string& path) {
        const size_t dot = path.rfind('.');
        std::string scope = "TOP." MF_TOP;
        if (dot != std::string::npos) scope += "." + path.substr(0, dot);
        const VerilatedScope* found = context->scopeFind(scope.c_str());
        const VerilatedVar* var = found ? found->varFind(path.substr(dot + 1).c_str()) : nullptr;
        if (!var) mf_fail(MF_FATAL, "no such signal in the model");
        const size_t entries = var->udims() ? var->unpacked().elements() : 1;
        return {static_cast<const uint8_t*>(var->datap()), var->entSize(), entries};
    }
};

}  // namespace

MF_EXPORT System* mf_create(const char* memory_dir) { return new System(memory_dir); }
MF_EXPORT void mf_destroy(System* system) {
#if VM_TRACE
    if (system->trace) system->trace->close();
#endif
    delete system;
}

// Opens the waveform file that every cycle from now on goes to.
MF_EXPORT int mf_trace(System* system, const char* path) {
    return system->guarded([&] {
#if VM_TRACE
        system->trace.reset(new VerilatedFstC);
        system->top->trace(system->trace.get(), 99);
        system->trace->open(path);
        if (!system->trace->isOpen()) mf_fail(MF_FATAL, "cannot write the trace %s", path);
#else
        mf_fail(MF_FATAL, "cannot write %s: the model was built without traces", path);
#endif
        return MF_OK;
    });
}

MF_EXPORT int mf_reset(System* system) {
    return system->guarded([&] {
        system->reset();
        return MF_OK;
    });
}

MF_EXPORT int mf_read(System* system, uint32_t address, uint32_t* data) {
    return system->guarded([&] {
        *data = system->read(address);
        return MF_OK;
    });
}

MF_EXPORT int mf_write(System* system, uint32_t address, uint32_t data) {
    return system->guarded([&] {
        system->write(address, data);
        return MF_OK;
    });
}

MF_EXPORT void mf_stall(System* system, int active, uint64_t seed) {
    uint64_t stream = 0;
    for (StallSource* source : {&system->in_stall, &system->out_stall, &system->axil_stall}) {
        source->active = active;
        source->state = seed * 3 + stream++;
        source->left = 0;
    }
    const auto start = [&](StallSource& source) {
        source.active = active;
        source.state = seed * 3 + 0x1000 * ++stream;
        source.left = 0;
    };
    for (HpMemory::Reader& reader : system->memory.readers) start(reader.ar_stall), start(reader.r_stall);
    for (HpMemory::Writer& writer : system->memory.writers)
        start(writer.aw_stall), start(writer.w_stall), start(writer.b_stall);
}

// Puts the memory's image and properties; before the reset.
MF_EXPORT void mf_memory(System* system, const MfMemory* memory, const uint8_t* image, uint64_t bytes) {
    system->memory.load(*memory, image, bytes);
}

// The ends are words up to the end of each tensor, the last one the number of words.
MF_EXPORT void mf_begin(System* system, const uint32_t* input, const uint64_t* input_ends, uint64_t input_count,
                        uint32_t* output, const uint64_t* output_ends, uint64_t output_count, uint64_t max_idle) {
    system->input = input;
    system->input_ends = input_ends;
    system->output_ends = output_ends;
    system->input_count = input_count;
    system->output = output;
    system->output_count = output_count;
    system->max_idle = max_idle;
    system->input_sent = system->output_got = 0;
    system->progress_cycle = system->cycle;
    system->running = true;
}

MF_EXPORT int mf_run(System* system, uint64_t limit) {
    return system->guarded([&] { return system->run(limit); });
}

// Adds a memory to the probes; shape receives bytes per entry and entries.
MF_EXPORT int mf_probe(System* system, const char* path, uint64_t* shape) {
    return system->guarded([&] {
        system->probes.push_back(system->find(path));
        shape[0] = system->probes.back().entry_bytes;
        shape[1] = system->probes.back().entries;
        return MF_OK;
    });
}

// Sets the signals that tell of finished layers.
MF_EXPORT int mf_watch(System* system, const char* done, const char* index) {
    return system->guarded([&] {
        const Memory flag = system->find(done), number = system->find(index);
        if (flag.entry_bytes != 1 || flag.entries != 1 || number.entry_bytes > 4 || number.entries != 1)
            mf_fail(MF_FATAL, "layer_done must be one bit, and the layer index at most 32");
        system->layer_done = flag.data;
        system->layer_index = number;
        return MF_OK;
    });
}

// Copies a probed memory as it is: entries x bytes per entry.
MF_EXPORT void mf_copy_probe(System* system, uint32_t probe, uint8_t* dst) {
    const Memory& memory = system->probes[probe];
    memcpy(dst, memory.data, memory.entry_bytes * memory.entries);
}

struct MfCounters {
    uint64_t cycle, input_sent, output_got, last_input_cycle, last_output_cycle;
    uint32_t finished_layer, last_keep;
    uint64_t memory_bytes, memory_written;
};

MF_EXPORT void mf_counters(System* system, MfCounters* out) {
    *out = {system->cycle,           system->input_sent,        system->output_got,    system->last_input_cycle,
            system->last_output_cycle, system->finished_layer, system->last_keep,
            system->memory.bytes_read, system->memory.bytes_written};
}
