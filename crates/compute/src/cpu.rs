//! The CPU executor: runs each kernel's twin, its CPU reference.
//!
//! It is slow and simple. Tests compare GPU results with it, and it runs a whole model without a GPU.

use crate::{
    Access, AnyKernel, Buffer, BufferId, Caps, Error, Executor, HostBuf, InFlight, Recording, Role,
    RunOptions, RunOutput, Slice,
};
use std::collections::HashMap;

/// An executor with buffers in host memory that runs the CPU twins.
#[derive(Debug)]
pub struct Cpu {
    caps: Caps,
    buffers: HashMap<BufferId, (Buffer, Vec<u32>)>,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new(Caps::webgpu())
    }
}

impl Cpu {
    /// An executor with the given capabilities. Tests use them to select variants.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        Self { caps, buffers: HashMap::new() }
    }

    /// Frees buffers whose other handles were dropped.
    fn free_unused(&mut self) {
        self.buffers.retain(|_, (handle, _)| !handle.is_last());
    }

    fn words(&self, at: Slice) -> Result<&[u32], Error> {
        let (_, words) = self.buffers.get(&at.id).ok_or(Error::UnknownBuffer { id: at.id })?;
        Ok(&words[range(at)])
    }

    fn launch(&mut self, recording: &Recording, launch: &crate::Launch) -> Result<(), Error> {
        let kernel = recording.kernel(launch);
        // A twin sees only the bytes that the launch may access, so an access beyond them panics.
        let min_binding_size = kernel.min_binding_size(recording.params(launch));
        let slices: Vec<Slice> =
            recording.slices(launch).iter().zip(min_binding_size).map(|(s, n)| s.head(n)).collect();
        let written = |i: usize| kernel.bindings()[i].access != Access::Read;
        // Written buffers leave the map while the twin runs, so that it can borrow the others.
        let mut taken = HashMap::new();
        for (i, slice) in slices.iter().enumerate().filter(|(i, _)| written(*i)) {
            let (_, words) = self.buffers.get_mut(&slice.id).ok_or(Error::UnknownBuffer { id: slice.id })?;
            taken.insert(i, std::mem::take(words));
        }
        let mut bufs = Vec::with_capacity(slices.len());
        let mut owned: Vec<_> = taken.iter_mut().collect();
        owned.sort_by_key(|(i, _)| **i);
        let mut owned = owned.into_iter();
        for (i, slice) in slices.iter().enumerate() {
            bufs.push(if written(i) {
                let (_, words) = owned.next().expect("every written binding was taken");
                HostBuf::Write(&mut words[range(*slice)])
            } else {
                HostBuf::Read(self.words(*slice)?)
            });
        }
        kernel.reference(recording.params(launch), bufs);
        for (i, words) in taken {
            if let Some((_, home)) = self.buffers.get_mut(&slices[i].id) {
                *home = words;
            }
        }
        Ok(())
    }
}

/// Word range of a slice.
#[expect(clippy::cast_possible_truncation, reason = "host buffers are addressed with usize")]
const fn range(at: Slice) -> std::ops::Range<usize> {
    let first = at.offset as usize / 4;
    first..first + at.bytes.div_ceil(4) as usize
}

impl Executor for Cpu {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.free_unused();
        let out_of_memory = || Error::OutOfMemory { label: label.to_owned(), role, bytes };
        let words = usize::try_from(bytes.div_ceil(4)).map_err(|_| out_of_memory())?;
        let mut data = Vec::new();
        data.try_reserve_exact(words).map_err(|_| out_of_memory())?;
        data.resize(words, 0);
        let handle = Buffer::new(bytes, role);
        self.buffers.insert(handle.id(), (handle.clone(), data));
        Ok(handle)
    }

    /// On the host, a texture is a buffer.
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.alloc(bytes, role, label)
    }

    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), Error> {
        let (_, words) = self.buffers.get_mut(&at.id).ok_or(Error::UnknownBuffer { id: at.id })?;
        bytemuck::cast_slice_mut::<_, u8>(&mut words[range(at)])[..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn prepare(&mut self, _kernels: &[AnyKernel]) -> Result<(), Error> {
        Ok(())
    }

    fn start_with(&mut self, recording: &Recording, _options: RunOptions) -> Result<InFlight, Error> {
        for (to, data) in recording.uploads() {
            self.write(to, data)?;
        }
        for launch in recording.launches() {
            self.launch(recording, launch)?;
        }
        let mut outcome = RunOutput::default();
        for &from in recording.reads() {
            let bytes: &[u8] = bytemuck::cast_slice(self.words(from)?);
            let wanted = usize::try_from(from.bytes).unwrap_or(usize::MAX);
            outcome.reads.push(bytes[..wanted.min(bytes.len())].to_vec());
        }
        Ok(InFlight::new(outcome))
    }

    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error> {
        Ok(started.into_inner())
    }
}
