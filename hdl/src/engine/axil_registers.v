// Purpose   axil_registers: AXI4-Lite control and status.
//           0x000 ID  0x004 CONTROL (bit 0 enable, bit 1 written as 1 restores the states before the
//           next inference)  0x008 STATUS (bit 0 busy)  0x00C CYCLES
//           0x010 INFERENCES  0x014 INPUT_STALL  0x018 OUTPUT_STALL  0x01C LAYERS
//           0x400 + 4 i LAYER_CYCLES[i]  0x800 + 4 i LAYER_SATURATIONS[i]
//           with STREAM (weights in memory): STATUS bit 1 stopped by an error until reset
//           0x020 WEIGHT_BASE (address of the weight image, a multiple of 4096; before the first
//           enable)  0x024 ERROR (see weight_stream)  0xC00 + 4 i LAYER_STALLS[i]
// Latency   one transfer at a time; read data 2 cycles after the address.
module axil_registers #(
    parameter LAYERS = 1,
    parameter LIW    = 1,
    parameter STREAM = 0
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [11:0] s_axil_awaddr,
    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    output wire [1:0]  s_axil_bresp,
    output reg         s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [11:0] s_axil_araddr,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    output reg  [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,
    output reg         s_axil_rvalid,
    input  wire        s_axil_rready,
    output reg         enable_q,
    output reg         clear_q,
    output wire [31:12] weight_page,
    input  wire        busy,
    input  wire        stopped,
    input  wire [31:0] error,
    input  wire [31:0] cycles,
    input  wire [31:0] inferences,
    input  wire [31:0] input_stall,
    input  wire [31:0] output_stall,
    input  wire        stats_valid,
    input  wire [LIW-1:0] stats_layer,
    input  wire [31:0] stats_cycles,
    input  wire [31:0] stats_saturations,
    input  wire [31:0] stats_stalls
);
    reg [31:0] layer_cycles [0:LAYERS-1];
    reg [31:0] layer_saturations [0:LAYERS-1];
    reg        read_pending_q;
    reg [9:0]  read_addr_q;
    reg [31:0] cycles_read_q, saturations_read_q;
    integer i;
    initial for (i = 0; i < LAYERS; i = i + 1) begin
        layer_cycles[i] = 32'd0;
        layer_saturations[i] = 32'd0;
    end

    wire unused_address = &{1'b0, s_axil_araddr[1:0], s_axil_wdata[11:2], s_axil_wstrb[3:1]};
    wire write = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
    wire control = write && s_axil_awaddr == 12'h004 && s_axil_wstrb[0];
    wire [31:0] stalls_read;
    generate
        if (STREAM) begin : gen_stream
            reg [31:12] page_q;
            reg [31:0]  layer_stalls [0:LAYERS-1];
            reg [31:0]  stalls_read_q;
            integer n;
            initial for (n = 0; n < LAYERS; n = n + 1) layer_stalls[n] = 32'd0;
            assign weight_page = page_q;
            assign stalls_read = stalls_read_q;
            always @(posedge clk) begin
                if (rst) page_q <= 20'd0;
                else if (write && s_axil_awaddr == 12'h020 && s_axil_wstrb == 4'hf)
                    page_q <= s_axil_wdata[31:12];
                stalls_read_q <= layer_stalls[s_axil_araddr[LIW+1:2]];
                if (stats_valid) layer_stalls[stats_layer] <= stats_stalls;
            end
        end else begin : gen_no_stream
            wire unused_stream = &{1'b0, s_axil_wdata[31:12], stats_stalls};
            assign weight_page = 20'd0;
            assign stalls_read = 32'd0;
        end
    endgenerate
    assign s_axil_awready = write;
    assign s_axil_wready  = write;
    assign s_axil_bresp   = 2'b00;
    assign s_axil_rresp   = 2'b00;
    assign s_axil_arready = !read_pending_q && !s_axil_rvalid;

    always @(posedge clk) begin
        if (rst) begin
            enable_q       <= 1'b0;
            clear_q        <= 1'b0;
            s_axil_bvalid  <= 1'b0;
            s_axil_rvalid  <= 1'b0;
            read_pending_q <= 1'b0;
        end else begin
            if (write) s_axil_bvalid <= 1'b1;
            else if (s_axil_bready) s_axil_bvalid <= 1'b0;
            if (control) enable_q <= s_axil_wdata[0];
            clear_q <= control && s_axil_wdata[1];
            read_pending_q <= s_axil_arvalid && s_axil_arready;
            if (read_pending_q) s_axil_rvalid <= 1'b1;
            else if (s_axil_rready) s_axil_rvalid <= 1'b0;
        end
        read_addr_q        <= s_axil_araddr[11:2];
        cycles_read_q      <= layer_cycles[s_axil_araddr[LIW+1:2]];
        saturations_read_q <= layer_saturations[s_axil_araddr[LIW+1:2]];
        if (read_pending_q) begin
            if (read_addr_q[9:8] == 2'b01) s_axil_rdata <= cycles_read_q;
            else if (read_addr_q[9:8] == 2'b10) s_axil_rdata <= saturations_read_q;
            else if (read_addr_q[9:8] == 2'b11) s_axil_rdata <= stalls_read;
            else case (read_addr_q)
                10'h000: s_axil_rdata <= 32'h4D464731;
                10'h001: s_axil_rdata <= {31'd0, enable_q};
                10'h002: s_axil_rdata <= {30'd0, stopped, busy};
                10'h003: s_axil_rdata <= cycles;
                10'h004: s_axil_rdata <= inferences;
                10'h005: s_axil_rdata <= input_stall;
                10'h006: s_axil_rdata <= output_stall;
                10'h007: s_axil_rdata <= LAYERS;
                10'h008: s_axil_rdata <= {weight_page, 12'd0};
                10'h009: s_axil_rdata <= error;
                default: s_axil_rdata <= 32'd0;
            endcase
        end
        if (stats_valid) begin
            layer_cycles[stats_layer]      <= stats_cycles;
            layer_saturations[stats_layer] <= stats_saturations;
        end
    end
endmodule
