//! Weights in memory: they are read once per inference, in the order of the program, through one to
//! four ports, into a ring on chip. Every port brings its own part of each weight word and has its
//! own region of the image: per tile (of an LSTM: per step) a block of a header and the tile's parts
//! (`weight_unpack` states the format), at the end a block to be skipped that fills the last burst. Each
//! precision of a design has its own regions, of which an inference reads one set.

use crate::bits::BitWord;
use crate::layers::{HwLayer, Layers, Port};
use crate::loops::Loops;
use crate::params;
use crate::resources::{Features, LstmSize};
use crate::shape::Shape;
use std::ops::Range;

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
pub const BURST: usize = 16;

/// Bytes of a page, which no burst may cross; the regions begin at one.
pub const PAGE: usize = 4096;

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
    pub fn all_words(&self) -> usize {
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
    /// Layers of each set: an inference reads the words of one. No other layer has words.
    pub sets: Vec<Range<usize>>,
    /// Cycles in which an input is loaded at the least: an element each.
    pub loading: u64,
}

impl WeightStream {
    /// The stream of a program. Without a wish for a number of ports, as few as are fastest, with equal
    /// parts if that is possible. The ring has its least depth. The constants of the dot array's layers come
    /// along.
    pub fn new(
        shape: &Shape,
        program: &Layers,
        loops: &[Loops],
        features: Features,
        options: &WeightOptions,
    ) -> Self {
        let layers = &program.layers;
        let sets = match program.sets.as_slice() {
            // those that restore states among them
            [_] => std::iter::once(0..layers.len()).collect(),
            several => several.to_vec(),
        };
        let elements = |port: &Port| port.region.hwc.iter().product::<usize>();
        let param_width = shape.lanes * params::lane_bits(features);
        let recurrent = features.streamed_lstm();
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
                sets: sets.clone(),
                loading: program.inputs.iter().map(elements).sum::<usize>() as u64,
            };
            stream.layers = (layers.iter().zip(loops))
                .map(|(layer, loops)| stream.layer(layer, (recurrent, loops), &options.rates))
                .collect();
            stream.depth = stream.least_depth();
            stream
        };
        let beats = (shape.oc * shape.ic * 8).div_ceil(options.bus);
        // one port is that of the activations
        let most = MAX_PORTS - usize::from(features.transfers);
        let choices = match options.ports {
            Some(ports) => ports..=ports,
            None => 1..=most,
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

    /// Beats of the block that fills the last burst of a set's region at a port, its header included.
    pub fn filling(&self, set: usize, port: usize) -> usize {
        let rest = (BURST - self.used_beats(set, port) % BURST) % BURST;
        if rest > self.header_beats() {
            rest
        } else {
            rest + BURST
        }
    }

    /// The layers of a set.
    fn of_set(&self, set: usize) -> impl Iterator<Item = &StreamedLayer> {
        self.layers[self.sets[set].clone()].iter()
    }

    fn used_beats(&self, set: usize, port: usize) -> usize {
        self.of_set(set).map(|l| self.layer_beats(l, port)).sum()
    }

    /// Bursts of a port in an inference of a set.
    pub fn bursts(&self, set: usize, port: usize) -> usize {
        (self.used_beats(set, port) + self.filling(set, port)) / BURST
    }

    /// First page of a set's region at a port in the image: all ports' regions of a set, then those of the
    /// next one.
    pub fn first_page(&self, set: usize, port: usize) -> usize {
        let ports = self.slices.len();
        let bytes = |i| self.bursts(i / ports, i % ports) * BURST * self.bus / 8;
        let before = 0..set * ports + port;
        before.map(|i| bytes(i).div_ceil(PAGE)).sum()
    }

    /// First byte of a set's region at a port, as [`Self::first_page`].
    pub fn first_byte(&self, set: usize, port: usize) -> usize {
        self.first_page(set, port) * PAGE
    }

    /// Bytes of the image.
    pub fn image_bytes(&self) -> usize {
        self.first_byte(self.sets.len(), 0)
    }

    /// Bytes that an inference of a set reads.
    pub fn bytes(&self, set: usize) -> u64 {
        self.of_set(set).map(|l| l.bytes).sum()
    }

    /// Cycles that the memory needs for them.
    pub fn floor_of(&self, set: usize) -> u64 {
        self.of_set(set).map(|l| l.floor).sum()
    }

    /// Weight words of an inference of a set.
    pub fn words(&self, set: usize) -> usize {
        self.of_set(set).map(StreamedLayer::all_words).sum()
    }

    /// Whether ports that wait for the choice of a set have words in every inference, which ends the waiting
    /// for it (see `axi_reader`).
    pub fn serves_all(&self) -> bool {
        self.sets.len() == 1 || (0..self.sets.len()).all(|set| self.words(set) > 0)
    }

    /// A tile that is walked more than once lies in the ring as a whole.
    fn least_depth(&self) -> usize {
        let tiles = self.layers.iter().filter(|l| l.repeats).map(|l| l.words);
        (tiles.max().unwrap_or(0) + HEADROOM).next_multiple_of(RING_STEP)
    }

    /// Depths worth looking at: from the least to all words of the longest inference.
    pub fn depths(&self) -> impl Iterator<Item = usize> {
        let words = (0..self.sets.len()).map(|set| self.words(set));
        let most = words.max().unwrap_or(0).next_multiple_of(RING_STEP);
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
    /// layers' cycles without waiting. While one layer computes, the next ones' words come. An inference
    /// begins with the words that the one before left time for; where there are several sets, with those that
    /// come while its input is loaded, for until then it is not known whose are needed.
    pub fn stalls(&self, depth: usize, compute: &[u64]) -> Vec<u64> {
        let mut stalls = vec![0; self.layers.len()];
        for set in self.sets.clone() {
            let ahead = match self.sets.len() {
                1 => self.walk(set.clone(), 0.0, depth, compute).1,
                _ => self.loaded(set.clone(), depth),
            };
            let of_set = self.walk(set.clone(), ahead, depth, compute).0;
            stalls[set].copy_from_slice(&of_set);
        }
        stalls
    }

    /// Words of a set that come in the cycles of its input.
    fn loaded(&self, set: Range<usize>, depth: usize) -> f64 {
        let (mut words, mut left) = (0.0, self.loading as f64);
        for layer in &self.layers[set] {
            let floor = layer.floor.max(1) as f64;
            words += layer.all_words() as f64 * (left / floor).min(1.0);
            left = (left - layer.floor as f64).max(0.0);
        }
        words.min(depth as f64)
    }

    /// The layers of a set with `ahead` words in the ring at the start: how long each waits, and how many
    /// words there are at the end.
    fn walk(
        &self,
        set: Range<usize>,
        mut ahead: f64,
        depth: usize,
        compute: &[u64],
    ) -> (Vec<u64>, f64) {
        let layers = &self.layers[set.clone()];
        let (words, floor) =
            (layers.iter()).fold((0, 0), |(w, f), l| (w + l.all_words(), f + l.floor));
        let mean = words as f64 / floor.max(1) as f64;
        let mut stalls = Vec::with_capacity(layers.len());
        for (layer, &cycles) in layers.iter().zip(&compute[set]) {
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
