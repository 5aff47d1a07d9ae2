use macforge_hdl::blocks::*;
use macforge_numeric::*;
fn main(){ let d=std::env::args().nth(1).unwrap();
 let p=macforge_numeric::AffineParams{scale:0.0173,zero_point:-7};
 for m in compute_cells(&Selection{semantics:Semantics::TfliteDouble,acc_bits:25,bias_bits:25,channel:true,add:true,softmax:Some(SoftmaxRule::tflite(0.17,1.0).unwrap()),quantize:Some(p),dequantize:Some(p)}).unwrap() {
 std::fs::write(format!("{d}/{}.v",m.name),format!("`default_nettype none\n{}`default_nettype wire\n",m.text)).unwrap();}
}
