// Purpose   lane_agu: input address of one pixel lane. Lane i follows output pixels i, i+P, i+2P, ...
//           of the enumerated (We-wide) output and adds the kernel offset.
// Equation  flat = quot*P + rem;  address = quot + kernel_quot + carry(rem + kernel_rem >= P)
//           iy = iy0 + ky*dy, ix = ix0 + kx*dx; inside = 0 <= iy < H and 0 <= ix < W
// Latency   2 (address and bank after 1, inside after 2); initiation interval 1; never stalls.
module lane_agu #(
    parameter P  = 3,
    parameter RW = 2,
    parameter AW = 9,
    parameter XW = 8
) (
    input  wire          clk,
    input  wire          load,
    input  wire          advance,
    input  wire [AW-1:0] init_quot,
    input  wire [XW-1:0] init_y,
    input  wire [XW-1:0] init_x,
    input  wire [RW-1:0] lane_rem,
    input  wire [AW-1:0] adv_quot,
    input  wire [AW-1:0] adv_quot_wrap,
    input  wire [XW-1:0] adv_x,
    input  wire [XW-1:0] wrap_x,
    input  wire [XW-1:0] limit_x,
    input  wire [XW-1:0] adv_y,
    input  wire [XW-1:0] adv_y_wrap,
    input  wire [XW-1:0] height,
    input  wire [XW-1:0] width,
    input  wire [AW-1:0] kernel_quot,
    input  wire [RW-1:0] kernel_rem,
    input  wire [XW-1:0] kernel_y,
    input  wire [XW-1:0] kernel_x,
    output reg  [AW-1:0] addr_q,
    output reg  [RW-1:0] bank_q,
    output reg           inside_q
);
    reg [AW-1:0] quot_q;
    reg [XW-1:0] y_q;
    reg [XW-1:0] x_q;
    wire [XW-1:0] next_x = x_q + adv_x;
    wire          wrap   = $signed(next_x) >= $signed(limit_x);

    always @(posedge clk) begin
        if (load) begin
            quot_q <= init_quot;
            y_q    <= init_y;
            x_q    <= init_x;
        end else if (advance) begin
            quot_q <= quot_q + (wrap ? adv_quot_wrap : adv_quot);
            y_q    <= y_q + (wrap ? adv_y_wrap : adv_y);
            x_q    <= wrap ? next_x - wrap_x : next_x;
        end
    end

    wire [RW-1:0] rem_next;
    wire          rem_carry;
    bank_step #(.P(P), .RW(RW)) u_bank (
        .rem(lane_rem), .delta(kernel_rem), .next(rem_next), .carry(rem_carry)
    );
    reg  [XW-1:0] iy_q;
    reg  [XW-1:0] ix_q;

    always @(posedge clk) begin
        addr_q   <= quot_q + kernel_quot + {{(AW-1){1'b0}}, rem_carry};
        bank_q   <= rem_next;
        iy_q     <= y_q + kernel_y;
        ix_q     <= x_q + kernel_x;
        // negative coordinates are large unsigned numbers, so one compare covers both ends
        inside_q <= (iy_q < height) && (ix_q < width);
    end
endmodule
