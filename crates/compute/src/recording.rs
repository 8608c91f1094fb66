//! A recording: uploads, kernel launches in order, and read-backs. It does not use a device.

use crate::{Access, AnyKernel, Bindings, Kernel, Role, RunOutput, Slice};
use ridgeline_roofline::Cost;
use std::collections::HashMap;
use std::ops::Range;

/// The layer and the module of the model that a launch belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Region {
    /// The layer; `None` outside the layers.
    pub layer: Option<u32>,
    /// The module: `"qkv"`, `"attention"`, `"gate_up"`, `"lm_head"`, …
    pub module: &'static str,
}

/// One launch: a kernel with its parameters, slices and grid.
#[derive(Clone, Debug)]
pub struct Launch {
    kernel: usize,
    params: Range<usize>,
    slices: Range<usize>,
    /// Workgroups per dimension.
    pub grid: [u32; 3],
    /// The layer and module it belongs to.
    pub region: Region,
}

/// A list of launches with their parameters. It is rebuilt for every forward pass and reuses its allocations.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    kernels: Vec<AnyKernel>,
    launches: Vec<Launch>,
    params: Vec<u8>,
    slices: Vec<Slice>,
    uploads: Vec<(Slice, Range<usize>)>,
    upload_bytes: Vec<u8>,
    reads: Vec<Slice>,
    deciding: Vec<Slice>,
    region: Region,
}

impl Recording {
    /// An empty recording.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Clears launches, uploads and read-backs. The list of kernels and all allocations stay.
    pub fn clear(&mut self) {
        self.launches.clear();
        self.params.clear();
        self.slices.clear();
        self.uploads.clear();
        self.upload_bytes.clear();
        self.reads.clear();
        self.deciding.clear();
        self.region = Region::default();
    }

    /// Launches that follow belong to `region`.
    pub fn enter(&mut self, region: Region) {
        self.region = region;
    }

    /// Host data that is copied to the device before the first launch.
    pub fn upload(&mut self, to: Slice, data: &[u8]) {
        assert!(
            data.len() as u64 <= to.bytes,
            "upload of {} bytes into a slice of {} bytes",
            data.len(),
            to.bytes
        );
        let start = self.upload_bytes.len();
        self.upload_bytes.extend_from_slice(data);
        self.uploads.push((to, start..self.upload_bytes.len()));
    }

    /// Copies device data to the host after the last launch. Returns its index in the results.
    pub fn read_back(&mut self, from: Slice) -> usize {
        self.reads.push(from);
        self.reads.len() - 1
    }

    /// Marks data that decides the traffic of launches, such as the ids of chosen experts. No later launch may overwrite it.
    pub fn decides(&mut self, data: Slice) {
        self.deciding.push(data);
    }

    /// Whether the cost depends on data, such as the ids of chosen experts: [`Self::cost`] is then a lower bound.
    #[must_use]
    pub fn depends_on_data(&self) -> bool {
        !self.deciding.is_empty()
    }

    /// Reads back the data that decides the traffic, so that [`Self::cost_after`] is exact.
    pub fn read_back_deciding(&mut self) {
        self.reads.extend_from_slice(&self.deciding);
    }

    /// Records one launch.
    ///
    /// # Panics
    /// If a slice is shorter than the kernel's minimum binding size, or a written buffer is bound twice.
    /// Both are bugs of the caller and undefined behaviour on a device.
    pub fn run<K: Kernel>(&mut self, kernel: K, params: K::Params, args: K::Args) {
        let first = self.slices.len();
        <K as Bindings>::slices(&args, &mut self.slices);
        let found = self.kernels.iter().position(|k| k.downcast::<K>() == Some(&kernel));
        let kernel = found.unwrap_or_else(|| self.intern(AnyKernel::new(kernel)));
        self.push(kernel, bytemuck::bytes_of(&params), first);
    }

    /// Records one launch of a type-erased kernel: parameters as bytes, slices in binding order.
    ///
    /// # Panics
    /// As [`Self::run`], and if the number of slices differs from the number of bindings.
    pub fn run_erased(&mut self, kernel: &AnyKernel, params: &[u8], slices: &[Slice]) {
        assert_eq!(slices.len(), kernel.bindings().len(), "{kernel:?}: needs one slice per binding");
        let first = self.slices.len();
        self.slices.extend_from_slice(slices);
        let found = self.kernels.iter().position(|k| k == kernel);
        let kernel = found.unwrap_or_else(|| self.intern(kernel.clone()));
        self.push(kernel, params, first);
    }

    fn intern(&mut self, kernel: AnyKernel) -> usize {
        self.kernels.push(kernel);
        self.kernels.len() - 1
    }

    /// Adds the launch whose slices start at `first`.
    fn push(&mut self, index: usize, params: &[u8], first: usize) {
        let kernel = &self.kernels[index];
        check(kernel, &self.slices[first..], &kernel.min_binding_size(params));
        let grid = dispatch_grid(kernel.groups(params));
        let start = self.params.len();
        self.params.extend_from_slice(params);
        let (params, slices) = (start..self.params.len(), first..self.slices.len());
        self.launches.push(Launch { kernel: index, params, slices, grid, region: self.region });
    }

    /// Appends the launches, uploads and read-backs of another recording. Read-backs of `other` follow those of `self`, so
    /// their indices shift. The current region becomes that of the last launch.
    pub fn append(&mut self, other: &Self) {
        for (to, range) in &other.uploads {
            self.upload(*to, &other.upload_bytes[range.clone()]);
        }
        for launch in &other.launches {
            self.enter(launch.region);
            self.run_erased(other.kernel(launch), other.params(launch), other.slices(launch));
        }
        self.reads.extend_from_slice(&other.reads);
        self.deciding.extend_from_slice(&other.deciding);
    }

    /// The launches.
    #[must_use]
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// A launch's kernel.
    #[must_use]
    pub fn kernel(&self, launch: &Launch) -> &AnyKernel {
        &self.kernels[launch.kernel]
    }

    /// Every kernel variant used so far, including launches removed by [`Self::clear`].
    #[must_use]
    pub fn kernels(&self) -> &[AnyKernel] {
        &self.kernels
    }

    /// A launch's parameter block.
    #[must_use]
    pub fn params(&self, launch: &Launch) -> &[u8] {
        &self.params[launch.params.clone()]
    }

    /// A launch's slices, in binding order.
    #[must_use]
    pub fn slices(&self, launch: &Launch) -> &[Slice] {
        &self.slices[launch.slices.clone()]
    }

    /// Uploads, in order.
    pub fn uploads(&self) -> impl Iterator<Item = (Slice, &[u8])> {
        self.uploads.iter().map(|(to, range)| (*to, &self.upload_bytes[range.clone()]))
    }

    /// Read-backs, in order.
    #[must_use]
    pub fn reads(&self) -> &[Slice] {
        &self.reads
    }

    /// Cost of one launch.
    #[must_use]
    pub fn launch_cost(&self, launch: &Launch) -> Cost {
        self.launch_cost_given(launch, &[])
    }

    /// Cost of one launch, given the words of each binding that was read back.
    fn launch_cost_given(&self, launch: &Launch, contents: &[Option<&[u32]>]) -> Cost {
        let slices = self.slices(launch);
        // On the stack, because this runs for every launch. A kernel with more than 16 bindings would panic below.
        let mut roles = [Role::Activation; 16];
        for (role, slice) in roles.iter_mut().zip(slices) {
            *role = slice.role;
        }
        self.kernel(launch).cost(self.params(launch), &roles[..slices.len()], contents)
    }

    /// [`Self::cost`] after a run. Traffic that depends on data is counted from what was read back
    /// ([`Self::read_back_deciding`]).
    #[must_use]
    pub fn cost_after(&self, output: &RunOutput) -> Cost {
        self.launch_costs_after(output).into_iter().sum()
    }

    /// [`Self::launch_cost`] of each launch after a run, as in [`Self::cost_after`].
    #[must_use]
    pub fn launch_costs_after(&self, output: &RunOutput) -> Vec<Cost> {
        let words = output.reads.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes));
        let reads: Vec<(Slice, Vec<u32>)> = self.reads.iter().copied().zip(words).collect();
        let of = |slice: &Slice| {
            let read = reads.iter().find(|(it, _)| (it.id, it.offset) == (slice.id, slice.offset));
            read.map(|(_, words)| &words[..])
        };
        let cost = |launch| {
            let contents: Vec<_> = self.slices(launch).iter().map(of).collect();
            self.launch_cost_given(launch, &contents)
        };
        self.launches.iter().map(cost).collect()
    }

    /// Cost of the whole recording: bytes by role, operations and launches. Known before anything runs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.launches.iter().map(|launch| self.launch_cost(launch)).sum()
    }

    /// Least bytes of the buffers of `role` that the launches touch. Each buffer counts once, with the launch that touches
    /// most of it. Achievable bandwidth is looked up by this size: it rises as the size falls.
    #[must_use]
    pub fn footprint(&self, role: Role) -> u64 {
        let mut touched = HashMap::new();
        for launch in &self.launches {
            let (kernel, params) = (self.kernel(launch), self.params(launch));
            let (traffic, sizes) = (kernel.traffic(params), kernel.min_binding_size(params));
            for ((slice, moved), size) in self.slices(launch).iter().zip(traffic).zip(sizes) {
                if slice.role == role {
                    // An update moves its bytes twice, and a lookup in a table reads only a part of it.
                    let most = touched.entry(slice.id).or_insert(0);
                    *most = moved.min(size).max(*most);
                }
            }
        }
        touched.values().sum()
    }
}

/// Splits a number of workgroups over two dimensions of at most 65 535 each.
///
/// The last row may have workgroups beyond `groups`, so kernels compare their linear index with their own count.
#[must_use]
pub fn dispatch_grid(groups: u64) -> [u32; 3] {
    const MAX: u64 = 65_535;
    assert!(groups <= MAX * MAX, "{groups} workgroups exceed a two-dimensional grid of {MAX} × {MAX}");
    let rows = groups.div_ceil(MAX).max(1);
    let columns = groups.div_ceil(rows);
    [u32::try_from(columns).unwrap_or(u32::MAX), u32::try_from(rows).unwrap_or(u32::MAX), 1]
}

fn check(kernel: &AnyKernel, slices: &[Slice], need: &[u64]) {
    for (i, (slice, info)) in slices.iter().zip(kernel.bindings()).enumerate() {
        let bytes = slice.bytes;
        assert!(
            bytes >= need[i],
            "{kernel:?}: binding {} has {bytes} bytes, needs at least {}",
            info.name,
            need[i]
        );
        let clash = |j: usize, other: &Slice| j != i && other.id == slice.id;
        let twice = info.access != Access::Read && slices.iter().enumerate().any(|(j, s)| clash(j, s));
        assert!(!twice, "{kernel:?}: the buffer of the written binding {} is bound twice", info.name);
    }
}

#[cfg(test)]
mod tests {
    use super::dispatch_grid;

    #[test]
    fn grids_cover_every_group_within_the_limit() {
        for groups in [1, 2, 65_535, 65_536, 151_936, 1 << 20, 3_000_000_000] {
            let [x, y, z] = dispatch_grid(groups);
            assert!(x <= 65_535 && y <= 65_535 && z == 1);
            let covered = u64::from(x) * u64::from(y);
            assert!(covered >= groups && covered < groups + u64::from(y), "{groups}: {x}x{y}");
        }
        assert_eq!(dispatch_grid(0), [0, 1, 1]);
    }
}
