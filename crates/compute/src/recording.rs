//! A recording: uploads, kernel launches in order, and read-backs. Nothing in it touches a device.

use crate::{Access, AnyKernel, Bindings, Kernel, Role, Slice};
use ridgeline_roofline::Cost;
use std::ops::Range;

/// Where in the model a launch belongs: which layer, and which module of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Region {
    /// The layer, where the launch belongs to one.
    pub layer: Option<u32>,
    /// The module: `"qkv"`, `"attention"`, `"gate_up"`, `"lm_head"`, …
    pub module: &'static str,
}

/// One launch.
#[derive(Clone, Debug)]
pub struct Launch {
    kernel: usize,
    params: Range<usize>,
    slices: Range<usize>,
    /// Workgroups per dimension.
    pub grid: [u32; 3],
    /// Where it belongs.
    pub region: Region,
}

/// A list of launches with their parameters; rebuilt for every token and kept between tokens for its memory.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    kernels: Vec<AnyKernel>,
    launches: Vec<Launch>,
    params: Vec<u8>,
    slices: Vec<Slice>,
    uploads: Vec<(Slice, Range<usize>)>,
    upload_bytes: Vec<u8>,
    reads: Vec<Slice>,
    region: Region,
}

impl Recording {
    /// An empty recording.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything but the memory it occupies.
    pub fn clear(&mut self) {
        self.launches.clear();
        self.params.clear();
        self.slices.clear();
        self.uploads.clear();
        self.upload_bytes.clear();
        self.reads.clear();
        self.region = Region::default();
    }

    /// Launches that follow belong to `region`.
    pub fn enter(&mut self, region: Region) {
        self.region = region;
    }

    /// Host data that is copied to the device before the first launch.
    pub fn upload(&mut self, to: Slice, data: &[u8]) {
        assert!(data.len() as u64 <= to.bytes, "upload of {} bytes into {}", data.len(), to.bytes);
        let start = self.upload_bytes.len();
        self.upload_bytes.extend_from_slice(data);
        self.uploads.push((to, start..self.upload_bytes.len()));
    }

    /// Device data that is copied to the host after the last launch; results come in the order of these calls.
    pub fn read_back(&mut self, from: Slice) -> usize {
        self.reads.push(from);
        self.reads.len() - 1
    }

    /// Records one launch.
    ///
    /// # Panics
    /// When a slice is shorter than the kernel's minimum binding size, or a written buffer is bound twice: either would be
    /// undefined behaviour on the device, and is a bug of the caller.
    pub fn run<K: Kernel>(&mut self, kernel: K, params: K::Params, args: K::Args) {
        let first = self.slices.len();
        <K as Bindings>::slices(&args, &mut self.slices);
        let found = self.kernels.iter().position(|k| k.downcast::<K>() == Some(&kernel));
        let kernel = found.unwrap_or_else(|| self.intern(AnyKernel::new(kernel)));
        self.push(kernel, bytemuck::bytes_of(&params), first);
    }

    /// Records one launch of a kernel without its type: parameters as bytes, slices in binding order.
    ///
    /// # Panics
    /// As [`Self::run`], and when there are not as many slices as bindings.
    pub fn run_erased(&mut self, kernel: &AnyKernel, params: &[u8], slices: &[Slice]) {
        assert_eq!(slices.len(), kernel.bindings().len(), "{kernel:?}: one slice per binding");
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

    /// Adds the step whose slices, from `first` on, were pushed last.
    fn push(&mut self, index: usize, params: &[u8], first: usize) {
        let kernel = &self.kernels[index];
        check(kernel, &self.slices[first..], &kernel.min_binding_size(params));
        let grid = dispatch_grid(kernel.groups(params));
        let start = self.params.len();
        self.params.extend_from_slice(params);
        let (params, slices) = (start..self.params.len(), first..self.slices.len());
        self.launches.push(Launch { kernel: index, params, slices, grid, region: self.region });
    }

    /// Appends the launches, uploads and read-backs of another recording.
    pub fn append(&mut self, other: &Self) {
        for (to, range) in &other.uploads {
            self.upload(*to, &other.upload_bytes[range.clone()]);
        }
        for step in &other.launches {
            self.enter(step.region);
            self.run_erased(other.kernel(step), other.params(step), other.slices(step));
        }
        self.reads.extend_from_slice(&other.reads);
    }

    /// The launches.
    #[must_use]
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// A step's kernel.
    #[must_use]
    pub fn kernel(&self, step: &Launch) -> &AnyKernel {
        &self.kernels[step.kernel]
    }

    /// Every kernel variant named so far, also by launches since cleared.
    #[must_use]
    pub fn kernels(&self) -> &[AnyKernel] {
        &self.kernels
    }

    /// A step's parameter block.
    #[must_use]
    pub fn params(&self, step: &Launch) -> &[u8] {
        &self.params[step.params.clone()]
    }

    /// A step's slices, in binding order.
    #[must_use]
    pub fn slices(&self, step: &Launch) -> &[Slice] {
        &self.slices[step.slices.clone()]
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

    /// Cost of one step.
    #[must_use]
    pub fn launch_cost(&self, step: &Launch) -> Cost {
        let slices = self.slices(step);
        let mut roles = [Role::Activation; 16];
        for (role, slice) in roles.iter_mut().zip(slices) {
            *role = slice.role;
        }
        self.kernel(step).cost(self.params(step), &roles[..slices.len()])
    }

    /// Cost of the whole recording: exact bytes by role, operations and launches, before anything runs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.launches.iter().map(|step| self.launch_cost(step)).sum()
    }
}

/// Folds a linear number of workgroups into dimensions of at most 65 535 each; the last row may be partly empty,
/// so kernels compare their linear group index with their own count.
#[must_use]
pub fn dispatch_grid(groups: u64) -> [u32; 3] {
    const MAX: u64 = 65_535;
    assert!(groups <= MAX * MAX, "{groups} workgroups do not fit a two-dimensional grid");
    let rows = groups.div_ceil(MAX).max(1);
    let columns = groups.div_ceil(rows);
    [u32::try_from(columns).unwrap_or(u32::MAX), u32::try_from(rows).unwrap_or(u32::MAX), 1]
}

fn check(kernel: &AnyKernel, slices: &[Slice], need: &[u64]) {
    for (i, (slice, info)) in slices.iter().zip(kernel.bindings()).enumerate() {
        let bytes = slice.bytes;
        assert!(bytes >= need[i], "{kernel:?}: binding {} holds {bytes} bytes, needs {}", info.name, need[i]);
        let clash = |j: usize, other: &Slice| j != i && other.id == slice.id;
        let twice = info.access != Access::Read && slices.iter().enumerate().any(|(j, s)| clash(j, s));
        assert!(!twice, "{kernel:?}: the buffer written by binding {} is bound twice", info.name);
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
