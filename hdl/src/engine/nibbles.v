// Purpose   nibbles: the low four bits of N bytes, their top bit inverted on demand, which subtracts
//           an odd multiple of eight; or their high four bits.
// Latency   0 (combinational).
module nibbles #(
    parameter N = 8
) (
    input  wire [N*8-1:0] bytes,
    input  wire           invert,      // of the low bits
    input  wire           high,
    output wire [N*4-1:0] values
);
    genvar i;
    generate
        for (i = 0; i < N; i = i + 1) begin : gen_value
            assign values[i*4 +: 4] = high ? bytes[i*8+4 +: 4] : bytes[i*8 +: 4] ^ {invert, 3'd0};
        end
    endgenerate
endmodule
