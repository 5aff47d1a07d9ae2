//! Weights in memory: they are read once per inference, in the order of the program, through one to
//! four ports, into a ring on chip. Every port brings its own part of each weight word and has its
//! own region of the image: per tile (of an LSTM: per step) a block of a header and the tile's parts
//! (`weight_unpack` states the format), at the end a block to be skipped that fills the last burst.

use crate::bits::BitWord;
use crate::layers::HwLayer;
use crate::loops::Loops;
use crate::params;
use crate::resources::{Features, LstmSize};
use crate::shape::Shape;

/// Where the weights of a plan lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightSource {
    /// On chip.
    Chip,
    /// In memory, but for an LSTM's: those are needed in every time step.
    Mixed,
    /// In memory.
    Memory,
}

impl WeightSource {
    /// The dot array's weights come from memory.
    pub fn streamed(self) -> bool {
        self != WeightSource::Chip
    }
}

/// What the memory behind the read ports gives, in bytes per 1,000 cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRates {
    /// All ports together.
    pub total: u64,
    /// One port.
    pub port: u64,
}

/// What is asked of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightOptions {
    /// Where they lie; when absent, on chip if they fit, otherwise in memory.
    pub source: Option<WeightSource>,
    /// Read ports; as few as suffice when absent.
    pub ports: Option<usize>,
    /// Data bits of a port: 32 or 64.
    pub bus: usize,
    /// What the memory gives.
    pub rates: MemoryRates,
}

/// Most read ports: a Zynq-7000 has four.
pub const MAX_PORTS: usize = 4;

/// Beats of a burst.
const BURST: usize = 16;

/// Bytes of a page, which no burst may cross; the regions begin at one.
const PAGE: usize = 4096;

/// Words in front of a tile that has to lie in the ring as a whole.
const HEADROOM: usize = 64;

/// Tiles whose constants have a place (see `param_ring`).
const PARAM_TILES: usize = 16;

/// Rings grow by the depth of a block RAM in its widest form.
const RING_STEP: usize = 512;

/// A layer's part of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedLayer {
    /// Bits of a weight in memory: 2, 4 or 8.
    pub bits: usize,
    /// Blocks: output-channel tiles, steps of an LSTM, 0 in layers without weights.
    pub tiles: usize,
    /// Words of requantizer constants in front of a tile's weights; 0 where they are on chip.
    pub params: usize,
    /// Weight words of a tile.
    pub words: usize,
    /// The tile is walked more than once.
    pub repeats: bool,
    /// Bytes, all ports and headers.
    pub bytes: u64,
    /// Cycles that the memory needs for them.
    pub floor: u64,
}

impl StreamedLayer {
    /// Words of all tiles, constants included.
    fn all_words(&self) -> usize {
        self.tiles * (self.params + self.words)
    }
}

/// Whether a layer's tiles have constants of their own that the dot array's results need.
fn has_params(layer: &HwLayer) -> bool {
    layer.is_dot() && layer.weighted().is_some()
}

/// How the weights come from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightStream {
    /// Data bits of a port.
    pub bus: usize,
    /// Beats (of 8-bit weights) of a word that each port brings.
    pub slices: Vec<usize>,
    /// Words of the ring.
    pub depth: usize,
    /// Bits of a parameter word.
    pub param_width: usize,
    /// Parameter words that a weight word holds; 0 = all parameters are on chip.
    pub param_entries: usize,
    /// Weight words that a parameter word needs; one of both numbers is 1.
    pub param_parts: usize,
    /// Places for parameter words, a power of two.
    pub param_slots: usize,
    /// By layer of the program.
    pub layers: Vec<StreamedLayer>,
}

impl WeightStream {
    /// The stream of a program. Without a wish for a number of ports, as few as are fastest, with equal
    /// parts if that is possible. The ring has its least depth. The constants of the dot array's layers come
    /// along.
    pub fn new(
        shape: &Shape,
        layers: &[HwLayer],
        loops: &[Loops],
        features: Features,
        options: &WeightOptions,
    ) -> Self {
        let param_width = shape.lanes * params::lane_bits(features);
        let recurrent = features.lstm.filter(|size| size.parts.is_some());
        let of_tile = (layers.iter().zip(loops)).filter(|(layer, _)| has_params(layer));
        let groups = of_tile.map(|(_, loops)| loops.drain_groups).max();
        let word = shape.oc * shape.ic * 8;
        let param_entries = groups.map_or(0, |_| (word / param_width).max(1));
        let with = |ports: usize| {
            let mut stream = WeightStream {
                bus: options.bus,
                slices: slices(shape.oc * shape.ic, options.bus, ports),
                depth: 0,
                param_width,
                param_entries,
                param_parts: param_width.div_ceil(word),
                param_slots: (PARAM_TILES * groups.unwrap_or(1)).next_power_of_two(),
                layers: Vec::new(),
            };
            stream.layers = (layers.iter().zip(loops))
                .map(|(layer, loops)| stream.layer(layer, (recurrent, loops), &options.rates))
                .collect();
            stream.depth = stream.least_depth();
            stream
        };
        let beats = (shape.oc * shape.ic * 8).div_ceil(options.bus);
        let choices = match options.ports {
            Some(ports) => ports..=ports,
            None => 1..=MAX_PORTS,
        };
        let streams: Vec<Self> = choices.map(|ports| with(ports.min(beats))).collect();
        let least = streams.iter().map(Self::floor).min().unwrap_or(0);
        let fastest = streams.into_iter();
        fastest
            .filter(|stream| stream.floor() <= least + least / 100)
            // ports with unequal parts wait for one another
            .min_by_key(|s| (s.slices.first() != s.slices.last(), s.slices.len()))
            .expect("at least one port")
    }

    /// Cycles that the memory needs for all layers.
    fn floor(&self) -> u64 {
        self.layers.iter().map(|l| l.floor).sum()
    }

    /// A layer's part; `recurrent` is an LSTM unit whose weights are in the stream.
    fn layer(
        &self,
        layer: &HwLayer,
        (recurrent, loops): (Option<LstmSize>, &Loops),
        rates: &MemoryRates,
    ) -> StreamedLayer {
        let mut streamed = StreamedLayer {
            bits: layer.form.bits,
            tiles: 0,
            params: 0,
            words: 0,
            repeats: loops.groups > 1,
            bytes: 0,
            floor: 0,
        };
        if let Some((lstm, size)) = layer.lstm().zip(recurrent) {
            // all words in each step, every one used once
            (streamed.tiles, streamed.words) = (lstm.length, size.ring_words());
            streamed.repeats = false;
        } else if layer.weighted().is_some() || layer.product().is_some() {
            (streamed.tiles, streamed.words) = (loops.tiles, loops.steps());
        } else {
            return streamed;
        }
        if self.param_entries > 0 && has_params(layer) {
            let groups = loops.drain_groups.div_ceil(self.param_entries);
            streamed.params = groups * self.param_parts;
        }
        let beat = self.bus / 8;
        let of_ports = (0..self.slices.len()).map(|p| self.layer_beats(&streamed, p) * beat);
        let of_ports: Vec<u64> = of_ports.map(|bytes| bytes as u64).collect();
        let slowest = of_ports.iter().copied().max().unwrap_or(0);
        let port = rates.port.min(1000 * beat as u64).max(1);
        streamed.bytes = of_ports.iter().sum();
        streamed.floor = (1000 * streamed.bytes)
            .div_ceil(rates.total.max(1))
            .max((1000 * slowest).div_ceil(port));
        streamed
    }

    /// Beats of a block's header.
    pub fn header_beats(&self) -> usize {
        64 / self.bus
    }

    /// Beats of one word's part in memory.
    pub fn part_beats(&self, port: usize, bits: usize) -> usize {
        self.slices[port].div_ceil(8 / bits)
    }

    /// Beats of a layer in a port's region.
    fn layer_beats(&self, layer: &StreamedLayer, port: usize) -> usize {
        let params = match layer.params {
            0 => 0,
            words => self.header_beats() + words * self.part_beats(port, 8),
        };
        let weights = self.header_beats() + layer.words * self.part_beats(port, layer.bits);
        layer.tiles * (params + weights)
    }

    /// Beats of the block that fills a port's last burst, its header included.
    pub fn filling(&self, port: usize) -> usize {
        let rest = (BURST - self.used_beats(port) % BURST) % BURST;
        if rest > self.header_beats() {
            rest
        } else {
            rest + BURST
        }
    }

    fn used_beats(&self, port: usize) -> usize {
        let each = self.layers.iter().map(|l| self.layer_beats(l, port));
        each.sum()
    }

    /// Bursts of a port per inference.
    pub fn bursts(&self, port: usize) -> usize {
        (self.used_beats(port) + self.filling(port)) / BURST
    }

    /// First page of a port's region in the image; of the port behind the last, the pages of all.
    pub fn first_page(&self, port: usize) -> usize {
        let bytes = |p| self.bursts(p) * BURST * self.bus / 8;
        (0..port).map(|p| bytes(p).div_ceil(PAGE)).sum()
    }

    /// First byte of a port's region, as [`Self::first_page`].
    pub fn first_byte(&self, port: usize) -> usize {
        self.first_page(port) * PAGE
    }

    /// Bytes of the image.
    pub fn image_bytes(&self) -> usize {
        self.first_byte(self.slices.len())
    }

    /// Weight words per inference.
    fn words(&self) -> usize {
        self.layers.iter().map(StreamedLayer::all_words).sum()
    }

    /// A tile that is walked more than once lies in the ring as a whole.
    fn least_depth(&self) -> usize {
        let tiles = self.layers.iter().filter(|l| l.repeats).map(|l| l.words);
        (tiles.max().unwrap_or(0) + HEADROOM).next_multiple_of(RING_STEP)
    }

    /// Depths worth looking at: from the least to all words of an inference.
    pub fn depths(&self) -> impl Iterator<Item = usize> {
        let most = self.words().next_multiple_of(RING_STEP);
        (self.least_depth()..=most.max(self.least_depth())).step_by(RING_STEP)
    }

    /// Cycles in which a layer takes its constants from the stream.
    pub fn param_cycles(&self, layer: usize) -> u64 {
        let StreamedLayer { tiles, params, .. } = self.layers[layer];
        let gaps = params.saturating_sub(1) * self.param_entries;
        (tiles * (params + gaps)) as u64
    }

    /// A tile's parameter words as words of the stream, of `bits` each.
    pub fn param_words(&self, params: &[BitWord], bits: usize) -> Vec<BitWord> {
        let chunks = params.chunks(self.param_entries);
        let words = |chunk: &[BitWord]| {
            let joined = BitWord::joined(chunk);
            let parts = (0..joined.len()).step_by(bits);
            parts
                .map(|from| joined.part(from, bits))
                .collect::<Vec<_>>()
        };
        chunks.flat_map(words).collect()
    }

    /// Cycles that each layer waits for weights when the ring has `depth` words: `compute` are the
    /// layers' cycles without waiting. While one layer computes, the next ones' words come; an inference
    /// begins with the words that the one before left time for.
    pub fn stalls(&self, depth: usize, compute: &[u64]) -> Vec<u64> {
        let (_, left) = self.walk(0.0, depth, compute);
        self.walk(left, depth, compute).0
    }

    /// The same with `ahead` words in the ring at the start, and how many there are at the end.
    fn walk(&self, mut ahead: f64, depth: usize, compute: &[u64]) -> (Vec<u64>, f64) {
        let (words, floor) = self
            .layers
            .iter()
            .fold((0, 0), |(w, f), l| (w + l.all_words(), f + l.floor));
        let mean = words as f64 / floor.max(1) as f64;
        let mut stalls = Vec::with_capacity(compute.len());
        for (layer, &cycles) in self.layers.iter().zip(compute) {
            let own = layer.all_words();
            let rate = if own == 0 {
                mean
            } else {
                own as f64 / layer.floor.max(1) as f64
            };
            let left = ahead + rate * cycles as f64 - own as f64;
            // where two tiles have no room, the second one's words wait for places
            let late = if layer.repeats {
                layer.tiles * (2 * layer.words).saturating_sub(depth)
            } else {
                0
            };
            let late = (late as f64 / rate - left.max(0.0) / rate).max(0.0);
            stalls.push(((-left).max(0.0) / rate + late) as u64);
            ahead = left.clamp(0.0, depth as f64);
        }
        (stalls, ahead)
    }
}

/// Beats of a word of `bytes` bytes over the ports, the first ones one more where they do not divide.
fn slices(bytes: usize, bus: usize, ports: usize) -> Vec<usize> {
    let beats = (8 * bytes).div_ceil(bus);
    (0..ports)
        .map(|p| beats / ports + usize::from(p < beats % ports))
        .collect()
}
