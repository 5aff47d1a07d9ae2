// Test design with the ports of a macforge system, two of them to memory: writes bursts through the second
// one, reads bursts through either and gives the words back. Five input words say what it does:
//   0  address of the first burst that is written, 1 of the first that is read, both from the base
//   2  [31:24] bursts, [23:16] beats of each less one, [15:8] strobes (the upper half on a narrow bus),
//      [5:4] when it reads (READ_*), [3] it only reads, [2] it reads through the second port,
//      [1] it has a beat to write every 32 cycles only
//   3  first word that is written; each next one is STEP more
//   4  number of a fault (F_*), 0 for none
// Besides the cycles of writing (layer 0) and reading (layer 1) it counts those in which it waited for an address
// to be taken (register of INPUT_STALL), for a beat of a requested burst to be taken (OUTPUT_STALL), and for
// responses after the last beat (saturations of layer 0).
`default_nettype none
module write_back #(
    parameter BUS = 64
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [11:0]      s_axil_awaddr,
    input  wire             s_axil_awvalid,
    output wire             s_axil_awready,
    input  wire [31:0]      s_axil_wdata,
    input  wire [3:0]       s_axil_wstrb,
    input  wire             s_axil_wvalid,
    output wire             s_axil_wready,
    output wire [1:0]       s_axil_bresp,
    output reg              s_axil_bvalid,
    input  wire             s_axil_bready,
    input  wire [11:0]      s_axil_araddr,
    input  wire             s_axil_arvalid,
    output wire             s_axil_arready,
    output reg  [31:0]      s_axil_rdata,
    output wire [1:0]       s_axil_rresp,
    output reg              s_axil_rvalid,
    input  wire             s_axil_rready,
    input  wire [31:0]      s_axis_tdata,
    input  wire             s_axis_tvalid,
    output wire             s_axis_tready,
    input  wire             s_axis_tlast,
    output wire [31:0]      m_axis_tdata,
    output wire [3:0]       m_axis_tkeep,
    output wire             m_axis_tvalid,
    input  wire             m_axis_tready,
    output wire             m_axis_tlast,
    output wire [31:0]      m_axi_hp0_araddr,
    output wire [7:0]       m_axi_hp0_arlen,
    output wire [2:0]       m_axi_hp0_arsize,
    output wire [1:0]       m_axi_hp0_arburst,
    output wire [3:0]       m_axi_hp0_arcache,
    output wire [2:0]       m_axi_hp0_arprot,
    output wire             m_axi_hp0_arvalid,
    input  wire             m_axi_hp0_arready,
    input  wire [BUS-1:0]   m_axi_hp0_rdata,
    input  wire [1:0]       m_axi_hp0_rresp,
    input  wire             m_axi_hp0_rlast,
    input  wire             m_axi_hp0_rvalid,
    output wire             m_axi_hp0_rready,
    output wire [31:0]      m_axi_hp1_araddr,
    output wire [7:0]       m_axi_hp1_arlen,
    output wire [2:0]       m_axi_hp1_arsize,
    output wire [1:0]       m_axi_hp1_arburst,
    output wire [3:0]       m_axi_hp1_arcache,
    output wire [2:0]       m_axi_hp1_arprot,
    output wire             m_axi_hp1_arvalid,
    input  wire             m_axi_hp1_arready,
    input  wire [BUS-1:0]   m_axi_hp1_rdata,
    input  wire [1:0]       m_axi_hp1_rresp,
    input  wire             m_axi_hp1_rlast,
    input  wire             m_axi_hp1_rvalid,
    output wire             m_axi_hp1_rready,
    output wire [31:0]      m_axi_hp1_awaddr,
    output wire [7:0]       m_axi_hp1_awlen,
    output wire [2:0]       m_axi_hp1_awsize,
    output wire [1:0]       m_axi_hp1_awburst,
    output wire [3:0]       m_axi_hp1_awcache,
    output wire [2:0]       m_axi_hp1_awprot,
    output wire             m_axi_hp1_awvalid,
    input  wire             m_axi_hp1_awready,
    output wire [BUS-1:0]   m_axi_hp1_wdata,
    output wire [BUS/8-1:0] m_axi_hp1_wstrb,
    output wire             m_axi_hp1_wlast,
    output wire             m_axi_hp1_wvalid,
    input  wire             m_axi_hp1_wready,
    input  wire [1:0]       m_axi_hp1_bresp,
    input  wire             m_axi_hp1_bvalid,
    output wire             m_axi_hp1_bready,
    output wire             irq
);
    localparam [2:0]  SIZE = BUS == 64 ? 3'd3 : 3'd2;
    localparam [31:0] STEP = 32'h9E3779B9;
    localparam [1:0]  READ_AFTER_RESPONSES = 2'd0, READ_AFTER_BEATS = 2'd1,
        READ_WHEN_OFFERED = 2'd2;  // when the last response is offered; else it reads at once
    localparam [3:0]  F_EARLY_LAST = 4'd1, F_NO_LAST = 4'd2, F_ADDRESS = 4'd3, F_DATA = 4'd4, F_STROBES = 4'd5,
        F_LAST = 4'd6, F_NO_ADDRESS = 4'd7, F_NO_DATA = 4'd8, F_NARROW = 4'd9, F_FIXED = 4'd10, F_STOP = 4'd11,
        F_PEEK = 4'd12;

    reg         enable_q, run_q, half_q, aw_stalled_q, w_stalled_q, out_done_q;
    reg  [2:0]  taken_q;
    reg  [3:0]  error_q, fault_q;
    reg  [31:0] base_q, write_q, read_q, control_q, word_q;
    reg  [31:0] cycles_q, inferences_q, write_cycles_q, read_cycles_q;
    reg  [7:0]  aw_q, w_q, b_q, ar_q, r_q;  // bursts requested, written, answered, requested, read
    reg  [7:0]  w_beat_q;
    reg  [31:0] aw_wait_q, w_wait_q, b_wait_q;

    wire [7:0]  bursts    = control_q[31:24];
    wire [7:0]  len       = control_q[23:16];
    wire        only_read = control_q[3];
    wire        second    = control_q[2];
    wire [31:0] step      = ({24'd0, len} + 32'd1) << SIZE;

    // ---- writes ----
    wire aw_left = run_q && !only_read && aw_q != bursts;
    wire w_left  = run_q && !only_read && w_q != bursts;
    wire w_end   = w_beat_q == len;
    assign m_axi_hp1_awaddr  = base_q + write_q + {24'd0, aw_q} * step + {31'd0, aw_stalled_q && fault_q == F_ADDRESS};
    assign m_axi_hp1_awlen   = len;
    assign m_axi_hp1_awsize  = fault_q == F_NARROW ? 3'd1 : SIZE;
    assign m_axi_hp1_awburst = fault_q == F_FIXED ? 2'b00 : 2'b01;
    assign m_axi_hp1_awcache = 4'b0011;
    assign m_axi_hp1_awprot  = 3'b000;
    assign m_axi_hp1_awvalid = aw_left && !(aw_stalled_q && fault_q == F_NO_ADDRESS);
    wire [63:0] words = {word_q + STEP, word_q};
    assign m_axi_hp1_wdata   = words[BUS-1:0] ^ {w_stalled_q && fault_q == F_DATA, {(BUS-1){1'b0}}};
    wire [7:0]  strobes = control_q[15:8] ^ {w_stalled_q && fault_q == F_STROBES, 7'd0};
    assign m_axi_hp1_wstrb   = strobes[7:8-BUS/8];
    assign m_axi_hp1_wlast   = fault_q == F_EARLY_LAST ? w_beat_q + 8'd1 == len
        : fault_q != F_NO_LAST && w_end ^ (w_stalled_q && fault_q == F_LAST);
    wire has_beat = !control_q[1] || cycles_q[4:0] == 5'd0 || w_stalled_q;
    assign m_axi_hp1_wvalid  = w_left && has_beat && !(w_stalled_q && fault_q == F_NO_DATA);
    assign m_axi_hp1_bready  = cycles_q[0];
    wire aw_fire = m_axi_hp1_awvalid && m_axi_hp1_awready;
    wire w_fire  = m_axi_hp1_wvalid && m_axi_hp1_wready;
    wire b_fire  = m_axi_hp1_bvalid && m_axi_hp1_bready;
    wire written = only_read || b_q == bursts;

    // ---- reads ----
    wire        may_read = control_q[5:4] == READ_AFTER_RESPONSES ? written
        : control_q[5:4] == READ_AFTER_BEATS ? w_q == bursts
        : control_q[5:4] == READ_WHEN_OFFERED ? written || b_q + 8'd1 == bursts && m_axi_hp1_bvalid : 1'b1;
    wire        ar_valid = run_q && ar_q != bursts && may_read;
    wire [31:0] ar_addr  = base_q + read_q + {24'd0, ar_q} * step;
    wire        ar_fire  = ar_valid && (second ? m_axi_hp1_arready : m_axi_hp0_arready);
    wire [BUS-1:0] r_data = second ? m_axi_hp1_rdata : m_axi_hp0_rdata;
    wire        r_valid  = second ? m_axi_hp1_rvalid : m_axi_hp0_rvalid;
    wire        r_last   = second ? m_axi_hp1_rlast : m_axi_hp0_rlast;
    wire [1:0]  r_resp   = second ? m_axi_hp1_rresp : m_axi_hp0_rresp;
    wire        out_fire = m_axis_tvalid && m_axis_tready;
    wire        r_end    = BUS == 32 || half_q;
    wire        r_ready  = out_fire && r_end;
    assign m_axi_hp0_araddr  = ar_addr;
    assign m_axi_hp1_araddr  = ar_addr;
    assign m_axi_hp0_arlen   = len;
    assign m_axi_hp1_arlen   = len;
    assign m_axi_hp0_arsize  = SIZE;
    assign m_axi_hp1_arsize  = SIZE;
    assign m_axi_hp0_arburst = 2'b01;
    assign m_axi_hp1_arburst = 2'b01;
    assign m_axi_hp0_arcache = 4'b0011;
    assign m_axi_hp1_arcache = 4'b0011;
    assign m_axi_hp0_arprot  = 3'b000;
    assign m_axi_hp1_arprot  = 3'b000;
    assign m_axi_hp0_arvalid = ar_valid && !second;
    assign m_axi_hp1_arvalid = ar_valid && second;
    assign m_axi_hp0_rready  = r_ready && !second;
    assign m_axi_hp1_rready  = r_ready && second;

    assign s_axis_tready = enable_q && !run_q;
    assign m_axis_tvalid = run_q && r_valid;
    assign m_axis_tdata  = r_end ? r_data[BUS-1:BUS-32] : r_data[31:0];
    assign m_axis_tkeep  = 4'hf;
    assign m_axis_tlast  = r_end && r_last && r_q + 8'd1 == bursts;
    assign irq           = out_fire && m_axis_tlast || error_q != 4'd0;

    always @(posedge clk) begin
        aw_stalled_q <= m_axi_hp1_awvalid && !m_axi_hp1_awready;
        w_stalled_q  <= m_axi_hp1_wvalid && !m_axi_hp1_wready;
        if (rst) begin
            run_q        <= 1'b0;
            taken_q      <= 3'd0;
            error_q      <= 4'd0;
            inferences_q <= 32'd0;
        end else if (!run_q) begin
            if (s_axis_tvalid && s_axis_tready) begin
                {aw_q, w_q, b_q, ar_q, r_q, w_beat_q} <= 48'd0;
                {half_q, out_done_q} <= 2'd0;
                {aw_wait_q, w_wait_q, b_wait_q} <= 96'd0;
                cycles_q <= 32'd1;
                taken_q <= s_axis_tlast ? 3'd0 : taken_q + 3'd1;
                run_q   <= s_axis_tlast;
                case (taken_q)
                    3'd0:    write_q   <= s_axis_tdata;
                    3'd1:    read_q    <= s_axis_tdata;
                    3'd2:    control_q <= s_axis_tdata;
                    3'd3:    word_q    <= s_axis_tdata;
                    default: fault_q   <= s_axis_tdata[3:0];
                endcase
            end
        end else begin
            cycles_q <= cycles_q + 32'd1;
            if (aw_fire) aw_q <= aw_q + 8'd1;
            if (w_fire) begin
                w_beat_q <= w_end ? 8'd0 : w_beat_q + 8'd1;
                word_q   <= word_q + (BUS == 64 ? STEP << 1 : STEP);
                if (w_end) w_q <= w_q + 8'd1;
            end
            if (m_axi_hp1_awvalid && !m_axi_hp1_awready) aw_wait_q <= aw_wait_q + 32'd1;
            if (m_axi_hp1_wvalid && !m_axi_hp1_wready && aw_q != w_q) w_wait_q <= w_wait_q + 32'd1;
            if (w_q == bursts && !written && !m_axi_hp1_bvalid) b_wait_q <= b_wait_q + 32'd1;
            if (b_fire) b_q <= b_q + 8'd1;
            if (!written) write_cycles_q <= cycles_q;
            if (ar_fire) ar_q <= ar_q + 8'd1;
            if (out_fire) half_q <= !half_q;
            if (out_fire && r_end && r_last) r_q <= r_q + 8'd1;
            if (!out_done_q) read_cycles_q <= cycles_q;
            if (out_fire && m_axis_tlast) out_done_q <= 1'b1;
            if (r_valid && r_resp != 2'd0) error_q <= 4'd1;
            if ((b_fire || fault_q == F_PEEK) && m_axi_hp1_bresp != 2'd0) error_q <= 4'd4;
            if (fault_q == F_STOP) error_q <= 4'd5;
            if (written && out_done_q) begin
                run_q        <= 1'b0;
                inferences_q <= inferences_q + 32'd1;
            end
        end
    end

    // ---- registers ----
    wire write = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
    assign s_axil_awready = write;
    assign s_axil_wready  = write;
    assign s_axil_bresp   = 2'b00;
    assign s_axil_arready = !s_axil_rvalid;
    assign s_axil_rresp   = 2'b00;
    always @(posedge clk) begin
        if (rst) begin
            enable_q      <= 1'b0;
            s_axil_bvalid <= 1'b0;
            s_axil_rvalid <= 1'b0;
        end else begin
            if (write) s_axil_bvalid <= 1'b1;
            else if (s_axil_bready) s_axil_bvalid <= 1'b0;
            if (write && s_axil_awaddr == 12'h004 && s_axil_wstrb[0]) enable_q <= s_axil_wdata[0];
            if (write && s_axil_awaddr == 12'h020) base_q <= s_axil_wdata;
            if (s_axil_arvalid && s_axil_arready) s_axil_rvalid <= 1'b1;
            else if (s_axil_rready) s_axil_rvalid <= 1'b0;
        end
        if (s_axil_arvalid && s_axil_arready) case (s_axil_araddr)
            12'h000: s_axil_rdata <= 32'h4D464731;
            12'h004: s_axil_rdata <= {31'd0, enable_q};
            12'h008: s_axil_rdata <= {31'd0, run_q};
            12'h00c: s_axil_rdata <= cycles_q;
            12'h010: s_axil_rdata <= inferences_q;
            12'h014: s_axil_rdata <= aw_wait_q;
            12'h018: s_axil_rdata <= w_wait_q;
            12'h01c: s_axil_rdata <= 32'd2;
            12'h024: s_axil_rdata <= {28'd0, error_q};
            12'h400: s_axil_rdata <= write_cycles_q;
            12'h404: s_axil_rdata <= read_cycles_q;
            12'h800: s_axil_rdata <= b_wait_q;
            default: s_axil_rdata <= 32'd0;
        endcase
    end
endmodule
