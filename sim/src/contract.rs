//! The ports that every macforge system has.

use crate::error::SimError;
use crate::ports::{Direction, Port};

const INPUTS: [(&str, u32); 15] = [
    ("clk", 1),
    ("rst", 1),
    ("s_axil_awaddr", 12),
    ("s_axil_awvalid", 1),
    ("s_axil_wdata", 32),
    ("s_axil_wstrb", 4),
    ("s_axil_wvalid", 1),
    ("s_axil_bready", 1),
    ("s_axil_araddr", 12),
    ("s_axil_arvalid", 1),
    ("s_axil_rready", 1),
    ("s_axis_tdata", 32),
    ("s_axis_tvalid", 1),
    ("s_axis_tlast", 1),
    ("m_axis_tready", 1),
];

const OUTPUTS: [(&str, u32); 14] = [
    ("s_axil_awready", 1),
    ("s_axil_wready", 1),
    ("s_axil_bresp", 2),
    ("s_axil_bvalid", 1),
    ("s_axil_arready", 1),
    ("s_axil_rdata", 32),
    ("s_axil_rresp", 2),
    ("s_axil_rvalid", 1),
    ("s_axis_tready", 1),
    ("m_axis_tdata", 32),
    ("m_axis_tkeep", 4),
    ("m_axis_tvalid", 1),
    ("m_axis_tlast", 1),
    ("irq", 1),
];

/// Checks that `ports` are exactly those of a macforge system.
pub(crate) fn check(top: &str, ports: &[Port]) -> Result<(), SimError> {
    let inputs = INPUTS.iter().map(|port| (port, Direction::Input));
    let outputs = OUTPUTS.iter().map(|port| (port, Direction::Output));
    let wanted: Vec<_> = inputs.chain(outputs).collect();
    let mut problems = Vec::new();
    for &(&(name, width), direction) in &wanted {
        match ports.iter().find(|port| port.name == name) {
            None => problems.push(format!("`{name}` is missing")),
            Some(port) if port.direction != direction => {
                problems.push(format!("`{name}` should be an {}", word(direction)));
            }
            Some(port) if port.width != width => {
                problems.push(format!(
                    "`{name}` is {} bits wide instead of {width}",
                    port.width
                ));
            }
            Some(_) => {}
        }
    }
    for port in ports {
        if !wanted.iter().any(|((name, _), _)| *name == port.name) {
            problems.push(format!("`{}` is not part of the contract", port.name));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(SimError::Contract {
        top: top.to_owned(),
        problems,
    })
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    }
}
