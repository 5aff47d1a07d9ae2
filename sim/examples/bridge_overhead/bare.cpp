// The yardstick: the smallest main loop that runs inferences on a macforge design. No checks, no
// stalls, no counters: words in, words out. Prints cycles, seconds and a checksum of the outputs.
#include "Vdut.h"
#include "verilated.h"
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

int main(int, char** argv) {
    const uint32_t input_words = atoi(argv[1]), output_words = atoi(argv[2]), inferences = atoi(argv[3]);
    Vdut* top = new Vdut;
    uint64_t cycles = 0;
    auto tick = [&] {
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
        ++cycles;
    };
    top->rst = 1;
    for (int i = 0; i < 8; ++i) tick();
    top->rst = 0;
    top->s_axil_awaddr = 4;
    top->s_axil_wdata = 1;
    top->s_axil_wstrb = 15;
    top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_bready = 1;
    tick();
    top->s_axil_awvalid = top->s_axil_wvalid = 0;
    top->m_axis_tready = 1;

    uint32_t checksum = 0;
    const auto start = std::chrono::steady_clock::now();
    const uint64_t first = cycles;
    for (uint32_t n = 0; n < inferences; ++n)
        for (uint32_t in = 0, out = 0; out < output_words; ++cycles) {
            top->s_axis_tvalid = in < input_words;
            top->s_axis_tdata = (in + n) * 0x9E3779B9u;
            top->s_axis_tlast = in + 1 == input_words;
            top->clk = 0;
            top->eval();
            if (top->s_axis_tvalid && top->s_axis_tready) ++in;
            if (top->m_axis_tvalid) {
                checksum = checksum * 31 + top->m_axis_tdata;
                ++out;
            }
            top->clk = 1;
            top->eval();
        }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    printf("%llu %.9f %u\n", (unsigned long long)(cycles - first), time.count(), checksum);
}
