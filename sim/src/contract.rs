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

/// Signals of a memory port, `m_axi_hp<i>_<name>`, besides `rdata`: width, driven by the design.
const READ_PORT: [(&str, u32, bool); 12] = [
    ("araddr", 32, true),
    ("arlen", 8, true),
    ("arsize", 3, true),
    ("arburst", 2, true),
    ("arcache", 4, true),
    ("arprot", 3, true),
    ("arvalid", 1, true),
    ("arready", 1, false),
    ("rresp", 2, false),
    ("rlast", 1, false),
    ("rvalid", 1, false),
    ("rready", 1, true),
];

/// What a memory port that writes has besides `wdata` and `wstrb`.
const WRITE_PORT: [(&str, u32, bool); 14] = [
    ("awaddr", 32, true),
    ("awlen", 8, true),
    ("awsize", 3, true),
    ("awburst", 2, true),
    ("awcache", 4, true),
    ("awprot", 3, true),
    ("awvalid", 1, true),
    ("awready", 1, false),
    ("wlast", 1, true),
    ("wvalid", 1, true),
    ("wready", 1, false),
    ("bresp", 2, false),
    ("bvalid", 1, false),
    ("bready", 1, true),
];

/// Most memory ports that a system may have.
const MAX_MEMORY_PORTS: usize = 4;

/// The memory ports of a system.
pub(crate) struct MemoryPorts {
    pub count: usize,
    /// Data bits of every port.
    pub bits: u32,
    /// Which ports write.
    pub writes: [bool; MAX_MEMORY_PORTS],
}

/// The memory ports among `ports`: those before the first that has no `rdata`; with `awaddr` they write.
pub(crate) fn memory_ports(ports: &[Port]) -> MemoryPorts {
    let find = |i: usize, signal: &str| {
        let name = format!("m_axi_hp{i}_{signal}");
        ports.iter().find(|p| p.name == name)
    };
    let is_there = |i: &usize| find(*i, "rdata").is_some();
    MemoryPorts {
        count: (0..MAX_MEMORY_PORTS).take_while(is_there).count(),
        bits: find(0, "rdata").map_or(64, |port| port.width),
        writes: std::array::from_fn(|i| find(i, "awaddr").is_some()),
    }
}

/// The signals that memory port `i` must have: name, width, driven by the design.
fn memory_signals(memory: &MemoryPorts, i: usize) -> Vec<(&'static str, u32, bool)> {
    let mut signals = READ_PORT.to_vec();
    signals.push(("rdata", memory.bits, false));
    if memory.writes[i] {
        signals.extend(WRITE_PORT);
        signals.extend([
            ("wdata", memory.bits, true),
            ("wstrb", memory.bits / 8, true),
        ]);
    }
    signals
}

/// Checks that `ports` are exactly those of a macforge system, with none to four memory ports.
pub(crate) fn check(top: &str, ports: &[Port]) -> Result<(), SimError> {
    let named = |&(name, width): &(&str, u32)| (name.to_owned(), width);
    let inputs = INPUTS.iter().map(|port| (named(port), Direction::Input));
    let outputs = OUTPUTS.iter().map(|port| (named(port), Direction::Output));
    let memory = memory_ports(ports);
    let signals = (0..memory.count).flat_map(|i| {
        memory_signals(&memory, i)
            .into_iter()
            .map(move |(name, width, driven)| {
                let direction = if driven {
                    Direction::Output
                } else {
                    Direction::Input
                };
                ((format!("m_axi_hp{i}_{name}"), width), direction)
            })
    });
    let wanted: Vec<_> = inputs.chain(outputs).chain(signals).collect();
    let mut problems = Vec::new();
    if ![32, 64].contains(&memory.bits) {
        let found = memory.bits;
        problems.push(format!("memory ports of {found} bits instead of 32 or 64"));
    }
    for ((name, width), direction) in &wanted {
        match ports.iter().find(|port| port.name == *name) {
            None => problems.push(format!("`{name}` is missing")),
            Some(port) if port.direction != *direction => {
                problems.push(format!("`{name}` should be an {}", word(*direction)));
            }
            Some(port) if port.width != *width => {
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
