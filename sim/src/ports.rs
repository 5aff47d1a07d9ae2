//! The ports of a Verilated module, read from the header that Verilator writes.

/// Direction of a port, seen from the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Driven by the caller.
    Input,
    /// Driven by the module.
    Output,
}

/// One port of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in Verilog.
    pub name: String,
    /// Direction, seen from the module.
    pub direction: Direction,
    /// Width in bits.
    pub width: u32,
}

impl Port {
    /// Number of 64-bit chunks that hold one value of the port.
    pub fn chunks(&self) -> usize {
        self.width.div_ceil(64) as usize
    }
}

/// Reads the port list out of Verilator's `V<top>.h`: lines such as `VL_IN8(&clk,0,0);` or
/// `VL_OUTW(&q,143,0,5);` (name, msb, lsb, words).
pub(crate) fn parse_header(header: &str) -> Vec<Port> {
    header.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Port> {
    let line = line.trim();
    let (direction, rest) = if let Some(rest) = line.strip_prefix("VL_IN") {
        (Direction::Input, rest)
    } else {
        (Direction::Output, line.strip_prefix("VL_OUT")?)
    };
    let fields = rest.split_once("(&")?.1.strip_suffix(");")?;
    let mut fields = fields.split(',');
    let name = fields.next()?.to_owned();
    let msb: i64 = fields.next()?.parse().ok()?;
    let lsb: i64 = fields.next()?.parse().ok()?;
    let width = u32::try_from((msb - lsb).abs() + 1).ok()?;
    Some(Port {
        name,
        direction,
        width,
    })
}

/// One line per port, for the cache entry.
pub(crate) fn to_text(ports: &[Port]) -> String {
    let line = |port: &Port| {
        let direction = match port.direction {
            Direction::Input => "in",
            Direction::Output => "out",
        };
        format!("{direction} {} {}\n", port.width, port.name)
    };
    ports.iter().map(line).collect()
}

/// Inverse of [`to_text`]; `None` when the text is not of that form.
pub(crate) fn from_text(text: &str) -> Option<Vec<Port>> {
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        let direction = match fields.next()? {
            "in" => Direction::Input,
            "out" => Direction::Output,
            _ => return None,
        };
        Some(Port {
            direction,
            width: fields.next()?.parse().ok()?,
            name: fields.next()?.to_owned(),
        })
    };
    text.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_give_name_direction_and_width() {
        let header = "    VL_IN8(&clk,0,0);\n  VL_OUTW(&q,143,0,5);\n    VL_IN64(&x,47,0);\n int a;\n VL_OUT(&up,0,31);";
        let ports = parse_header(header);
        let seen: Vec<_> = ports
            .iter()
            .map(|p| (p.name.as_str(), p.direction, p.width))
            .collect();
        assert_eq!(
            seen,
            [
                ("clk", Direction::Input, 1),
                ("q", Direction::Output, 144),
                ("x", Direction::Input, 48),
                ("up", Direction::Output, 32),
            ]
        );
        assert_eq!(ports[1].chunks(), 3);
        assert_eq!(from_text(&to_text(&ports)), Some(ports));
    }
}
