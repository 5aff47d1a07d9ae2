// Purpose   crc32_step: CRC-32 of IEEE 802.3 (polynomial 0x04C11DB7, least significant bit first) over
//           the bytes of one bus beat, byte 0 first.
// Equation  per bit: next = (crc >> 1) ^ ((crc[0] ^ bit) ? 0xEDB88320 : 0)
// Latency   0
module crc32_step #(
    parameter BUS = 64
) (
    input  wire [31:0]    crc,
    input  wire [BUS-1:0] data,
    output reg  [31:0]    next
);
    integer i;
    always @* begin
        next = crc;
        for (i = 0; i < BUS; i = i + 1)
            next = {1'b0, next[31:1]} ^ (32'hEDB88320 & {32{next[0] ^ data[i]}});
    end
endmodule
