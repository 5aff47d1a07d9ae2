// Purpose   sequencer: input, then the layers of the program one after the other, then output.
//           A layer starts when the last result of the layer before is in the buffer. The first
//           FIRST layers run once after a reset or a clear, before the next input.
// Latency   1 cycle between a layer's end and the start of the next.
module sequencer #(
    parameter LAYERS = 1,
    parameter FIRST  = 0,
    parameter LIW    = 1,
    parameter DW     = 32
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           enable,
    input  wire           clear,            // restore the states; waits for the end of an inference
    input  wire           input_taken,      // an element of the input
    input  wire           input_done,
    output wire           input_open,
    input  wire           input_waiting,
    output reg  [DW-1:0]  layer_q,          // the running layer's program word
    output wire           layer_start,
    input  wire           layer_done,
    output wire           stats_valid,      // two cycles after layer_done: all counters are final
    output wire           output_start,
    input  wire           output_done,
    input  wire           output_waiting,
    output wire           busy,
    output reg  [31:0]    cycles_q,
    output reg  [31:0]    inferences_q,
    output reg  [31:0]    input_stall_q,
    output reg  [31:0]    output_stall_q,
    output reg  [LIW-1:0] stats_layer_q,
    output reg  [31:0]    stats_cycles_q,
    output wire           irq
);
    localparam LAST = LAYERS - 1;
    localparam FIRST_M1 = FIRST - 1;
    localparam [2:0] S_INPUT = 3'd0, S_START = 3'd1, S_RUN = 3'd2, S_OUTPUT = 3'd3, S_DRAIN = 3'd4,
                     S_SETTLE = 3'd5;
    // rom_style is for Vivado; Yosys has no LUT ROM cell, reads ram_style first and then uses logic
    (* ram_style = "registers", rom_style = "distributed" *)
    reg [DW-1:0] program_rom [0:LAYERS-1];
    initial $readmemh("program.mem", program_rom);

    reg [2:0]     state_q;
    reg [LIW-1:0] layer_index_q, next_index_q;
    reg [DW-1:0]  next_layer_q;
    reg [31:0]    run_cycles_q, layer_cycles_q;
    reg           fresh_q, clear_q, begun_q;
    wire          last_layer  = layer_index_q == LAST[LIW-1:0];
    wire          last_fresh  = FIRST != 0 && fresh_q && layer_index_q == FIRST_M1[LIW-1:0];
    wire          start_clear = state_q == S_INPUT && clear_q && !begun_q && !input_taken;

    assign input_open   = enable && state_q == S_INPUT && !fresh_q;
    assign layer_start  = state_q == S_START;
    assign output_start = state_q == S_OUTPUT;
    assign busy         = state_q != S_INPUT;
    assign irq          = state_q == S_DRAIN && output_done;

    always @(posedge clk) begin
        next_layer_q <= program_rom[next_index_q];
        if (state_q == S_INPUT || (state_q == S_RUN && layer_done)) layer_q <= next_layer_q;
        if (rst) begin
            state_q       <= S_SETTLE;
            layer_index_q <= 0;
            next_index_q  <= 0;
            inferences_q  <= 32'd0;
            input_stall_q <= 32'd0;
            output_stall_q <= 32'd0;
            cycles_q      <= 32'd0;
            fresh_q       <= FIRST != 0;
            clear_q       <= 1'b0;
            begun_q       <= 1'b0;
        end else begin
            if (input_done) begun_q <= 1'b0;
            else if (input_taken) begun_q <= 1'b1;
            if (clear && FIRST != 0) clear_q <= 1'b1;
            else if (start_clear) clear_q <= 1'b0;
            case (state_q)
                S_SETTLE: state_q <= S_INPUT;    // the first program word is being read
                S_INPUT: begin
                    if (start_clear) begin
                        state_q       <= S_SETTLE;
                        fresh_q       <= 1'b1;
                        layer_index_q <= 0;
                        next_index_q  <= 0;
                    end else if (input_done || (enable && fresh_q)) state_q <= S_START;
                    if (input_open && input_waiting) input_stall_q <= input_stall_q + 1'b1;
                end
                S_START: begin
                    state_q      <= S_RUN;
                    next_index_q <= last_layer ? FIRST[LIW-1:0] : layer_index_q + 1'b1;
                end
                S_RUN: if (layer_done) begin
                    state_q       <= last_fresh ? S_INPUT : last_layer ? S_OUTPUT : S_START;
                    layer_index_q <= next_index_q;
                    if (last_fresh) fresh_q <= 1'b0;
                    if (last_layer) cycles_q <= run_cycles_q;
                end
                S_OUTPUT: state_q <= S_DRAIN;
                default: begin
                    if (output_done) begin
                        state_q      <= S_INPUT;
                        inferences_q <= inferences_q + 1'b1;
                    end
                    if (output_waiting) output_stall_q <= output_stall_q + 1'b1;
                end
            endcase
        end
        run_cycles_q   <= state_q == S_INPUT ? 32'd1 : run_cycles_q + 1'b1;
        layer_cycles_q <= state_q == S_START ? 32'd2 : layer_cycles_q + 1'b1;
        if (state_q == S_RUN && layer_done) begin
            stats_layer_q  <= layer_index_q;
            stats_cycles_q <= layer_cycles_q;
        end
    end
    delay_line #(.WIDTH(1), .STAGES(2)) u_stats (
        .clk(clk), .in(state_q == S_RUN && layer_done), .out(stats_valid)
    );
endmodule
