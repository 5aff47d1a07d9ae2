//! Devices and their resources, from `devices.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::error::ConstraintsError;
use crate::names::nearest;

/// Resources of a device's programmable logic.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// DSP48E1 slices.
    pub dsp: u32,
    /// Block RAMs of 36 Kb; each is two of 18 Kb.
    pub bram36: u32,
    /// Six-input look-up tables.
    pub lut: u32,
    /// Flip-flops.
    pub ff: u32,
}

/// A Zynq-7000 device.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Name without package and speed grade: `xc7z020`.
    pub name: String,
    /// 64-bit AXI_HP ports from the logic into the DDR memory.
    pub hp_ports: u32,
    /// What the programmable logic has.
    pub resources: Resources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    device: Vec<Device>,
}

static DEVICES: LazyLock<Vec<Device>> = LazyLock::new(|| {
    let file: DeviceFile = toml::from_str(include_str!("../devices.toml"))
        .expect("the embedded devices.toml is well-formed");
    file.device
});

/// All devices, smallest first.
pub fn devices() -> &'static [Device] {
    &DEVICES
}

/// The device called `name` (`xc7z020`); the error lists the known ones.
pub fn device(name: &str) -> Result<&'static Device, ConstraintsError> {
    devices().iter().find(|d| d.name == name).ok_or_else(|| {
        let known = || devices().iter().map(|d| d.name.as_str());
        ConstraintsError::UnknownDevice {
            name: name.to_owned(),
            nearest: nearest(name, known()).map(str::to_owned),
            known: known().map(str::to_owned).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_equal_the_data_sheet() {
        let sheet = [
            ("xc7z010", 80, 60, 17_600, 35_200),
            ("xc7z020", 220, 140, 53_200, 106_400),
            ("xc7z030", 400, 265, 78_600, 157_200),
            ("xc7z035", 900, 500, 171_900, 343_800),
            ("xc7z045", 900, 545, 218_600, 437_200),
            ("xc7z100", 2_020, 755, 277_400, 554_800),
        ];
        assert_eq!(devices().len(), sheet.len());
        for (name, dsp, bram36, lut, ff) in sheet {
            let found = device(name).unwrap();
            assert_eq!(
                found.resources,
                Resources {
                    dsp,
                    bram36,
                    lut,
                    ff
                },
                "{name}"
            );
        }
    }

    #[test]
    fn every_slice_has_two_flip_flops_per_table() {
        for device in devices() {
            assert_eq!(
                device.resources.ff,
                2 * device.resources.lut,
                "{}",
                device.name
            );
        }
    }

    #[test]
    fn unknown_device_is_answered_with_the_nearest() {
        let message = device("xc7z02").unwrap_err().to_string();
        assert!(message.contains("`xc7z02`"), "{message}");
        assert!(message.contains("did you mean `xc7z020`"), "{message}");
        assert!(message.contains("xc7z010, xc7z020, xc7z030"), "{message}");
    }
}
