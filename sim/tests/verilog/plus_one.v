// Test design with the ports of a macforge system. Takes up to 64 words, adds 1 to each byte (layer 0),
// then adds the byte of a memory file (layer 1), and gives the words back.
`default_nettype none
module plus_one (
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
    input  wire [31:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire        s_axis_tlast,
    output wire [31:0] m_axis_tdata,
    output wire [3:0]  m_axis_tkeep,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast,
    output wire        irq
);
    localparam [1:0] S_IN = 2'd0, S_RUN = 2'd1, S_OUT = 2'd2;
    reg [7:0]  addend [0:0];
    initial $readmemh("addend.mem", addend);

    reg [1:0]  state_q;
    reg        enable_q, layer_q;
    reg [5:0]  index_q, last_q;
    reg [31:0] cycles_q, inferences_q, input_stall_q, output_stall_q;
    reg [31:0] layer_cycles_q [0:1];
    reg [31:0] layer_start_q;

    wire in_fire  = s_axis_tvalid && s_axis_tready;
    wire out_fire = m_axis_tvalid && m_axis_tready;
    wire layer_done = state_q == S_RUN && index_q == last_q;

    wire [7:0]  step = layer_q ? addend[0] : 8'd1;
    wire [31:0] word;
    wire [31:0] sum = {word[31:24] + step, word[23:16] + step, word[15:8] + step, word[7:0] + step};
    store u_store (
        .clk(clk),
        .we(in_fire || state_q == S_RUN),
        .addr(index_q),
        .wdata(state_q == S_IN ? s_axis_tdata : sum),
        .rdata(word)
    );

    assign s_axis_tready = enable_q && state_q == S_IN;
    assign m_axis_tvalid = state_q == S_OUT;
    assign m_axis_tdata  = word;
    assign m_axis_tkeep  = m_axis_tlast ? 4'h3 : 4'hf;
    assign m_axis_tlast  = index_q == last_q;
    assign irq           = out_fire && m_axis_tlast;

    always @(posedge clk) begin
        if (rst) begin
            state_q        <= S_IN;
            index_q        <= 6'd0;
            layer_q        <= 1'b0;
            inferences_q   <= 32'd0;
            input_stall_q  <= 32'd0;
            output_stall_q <= 32'd0;
        end else begin
            case (state_q)
                S_IN: begin
                    if (s_axis_tready && !s_axis_tvalid) input_stall_q <= input_stall_q + 1'b1;
                    if (in_fire) index_q <= s_axis_tlast ? 6'd0 : index_q + 1'b1;
                    if (in_fire && s_axis_tlast) begin
                        state_q       <= S_RUN;
                        last_q        <= index_q;
                        cycles_q      <= 32'd1;
                        layer_start_q <= 32'd0;
                    end
                end
                S_RUN: begin
                    cycles_q <= cycles_q + 1'b1;
                    index_q  <= layer_done ? 6'd0 : index_q + 1'b1;
                    if (layer_done) begin
                        layer_q                 <= !layer_q;
                        layer_cycles_q[layer_q] <= cycles_q - layer_start_q;
                        layer_start_q           <= cycles_q;
                        if (layer_q) state_q <= S_OUT;
                    end
                end
                default: begin
                    if (m_axis_tvalid && !m_axis_tready) output_stall_q <= output_stall_q + 1'b1;
                    if (out_fire) index_q <= m_axis_tlast ? 6'd0 : index_q + 1'b1;
                    if (out_fire && m_axis_tlast) begin
                        state_q      <= S_IN;
                        inferences_q <= inferences_q + 1'b1;
                    end
                end
            endcase
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
            if (s_axil_arvalid && s_axil_arready) s_axil_rvalid <= 1'b1;
            else if (s_axil_rready) s_axil_rvalid <= 1'b0;
        end
        if (s_axil_arvalid && s_axil_arready) case (s_axil_araddr)
            12'h000: s_axil_rdata <= 32'h4D464731;
            12'h004: s_axil_rdata <= {31'd0, enable_q};
            12'h008: s_axil_rdata <= {31'd0, state_q != S_IN};
            12'h00c: s_axil_rdata <= cycles_q;
            12'h010: s_axil_rdata <= inferences_q;
            12'h014: s_axil_rdata <= input_stall_q;
            12'h018: s_axil_rdata <= output_stall_q;
            12'h01c: s_axil_rdata <= 32'd2;
            12'h400: s_axil_rdata <= layer_cycles_q[0];
            12'h404: s_axil_rdata <= layer_cycles_q[1];
            12'h804: s_axil_rdata <= {24'd0, addend[0]};
            default: s_axil_rdata <= 32'd0;
        endcase
    end
endmodule

// Four byte-wide memories, so that hierarchical names run through a generate loop.
module store (
    input  wire        clk,
    input  wire        we,
    input  wire [5:0]  addr,
    input  wire [31:0] wdata,
    output wire [31:0] rdata
);
    genvar b;
    generate
        for (b = 0; b < 4; b = b + 1) begin : gen_byte
            byte_ram u_ram (.clk(clk), .we(we), .addr(addr), .d(wdata[8*b +: 8]), .q(rdata[8*b +: 8]));
        end
    endgenerate
endmodule

module byte_ram (
    input  wire       clk,
    input  wire       we,
    input  wire [5:0] addr,
    input  wire [7:0] d,
    output wire [7:0] q
);
    reg [7:0] mem [0:63];
    assign q = mem[addr];
    always @(posedge clk) if (we) mem[addr] <= d;
endmodule
