// Shared by the block and the system shim: owns one Verilated model and turns every runtime error of
// Verilator (which by default prints and aborts the process) into a message that Rust can return.
#pragma once
#include "Vdut.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#define MF_EXPORT extern "C" __attribute__((visibility("default")))

enum MfStatus { MF_PROTOCOL = -3, MF_HANG = -2, MF_FATAL = -1, MF_OK = 0, MF_DONE = 1, MF_SNAPSHOT = 2, MF_STOPPED = 3 };

struct MfFailure {
    MfStatus status;
    std::string text;
};

[[noreturn]] __attribute__((format(printf, 2, 3))) inline void mf_fail(MfStatus status, const char* format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    throw MfFailure{status, text};
}

struct MfModel;
// The model whose code runs on this thread: $readmemh and the vl_* hooks have no other way to find it.
extern thread_local MfModel* mf_current;

struct MfModel {
    std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    std::unique_ptr<Vdut> top;
    std::string memory_dir;
    std::string error;
    std::string pending;  // cause to report when the runtime next warns
#if VM_TRACE
    std::unique_ptr<VerilatedFstC> trace;
#endif

    explicit MfModel(const char* dir) : memory_dir(dir) {
#if VM_TRACE
        context->traceEverOn(true);
#endif
        top.reset(new Vdut(context.get(), "TOP"));
    }

    // Runs `body` with this model current; returns its status, or the status of what it threw.
    template <typename Body> int guarded(Body body) {
        mf_current = this;
        Verilated::threadContextp(context.get());
        int status;
        try {
            status = body();
        } catch (const MfFailure& failure) {
            error = failure.text;
            status = failure.status;
        } catch (const std::exception& exception) {
            error = exception.what();
            status = MF_FATAL;
        }
        mf_current = nullptr;
        return status;
    }

    void dump() {
#if VM_TRACE
        if (trace) trace->dump(context->time());
#endif
    }

    // Half a clock period (5 ns of a 10 ns clock in traces) with the clock at `level`.
    void half_cycle(CData& clk, CData level) {
        clk = level;
        top->eval();
        dump();
        context->timeInc(5);
    }
};
