//! WGSL's type names as Rust types, so that the same tokens declare a binding in both languages.
#![expect(
    non_camel_case_types,
    reason = "the names are WGSL's, so that `stringify!` of a binding type is WGSL"
)]

use crate::{Access, HostBuf};
use bytemuck::Pod;
use std::marker::PhantomData;

/// A runtime-sized WGSL array.
#[derive(Debug)]
pub struct array<T>(PhantomData<T>);

/// A WGSL vector of four components. The host sees single components.
#[derive(Debug)]
pub struct vec4<T>(PhantomData<T>);

/// The type of a binding.
pub trait BindingType {
    /// The host's element type.
    type Elem: Pod;
}
impl BindingType for array<f32> {
    type Elem = f32;
}
impl BindingType for array<u32> {
    type Elem = u32;
}
impl BindingType for array<vec4<f32>> {
    type Elem = f32;
}
impl BindingType for array<vec4<u32>> {
    type Elem = u32;
}

/// The access of a binding, implemented by the structs [`read`], [`struct@write`] and [`update`].
pub trait AccessType {
    /// The access as a value.
    const ACCESS: Access;
    /// The CPU twin's view of a binding with elements `E`.
    type View<'a, E: 'a>;
    /// Makes the view.
    fn view<E: Pod>(buf: HostBuf<'_>) -> Self::View<'_, E>;
}

/// Read-only binding.
#[derive(Debug)]
pub struct read;
/// Write-only binding. The kernel writes every element within the minimum binding size.
#[derive(Debug)]
pub struct write;
/// Binding that is updated in place. The kernel may read elements and may leave some unchanged.
#[derive(Debug)]
pub struct update;

impl AccessType for read {
    const ACCESS: Access = Access::Read;
    type View<'a, E: 'a> = &'a [E];
    fn view<E: Pod>(buf: HostBuf<'_>) -> &[E] {
        match buf {
            HostBuf::Read(words) => bytemuck::cast_slice(words),
            HostBuf::Write(words) => bytemuck::cast_slice(words),
        }
    }
}

fn view_mut<E: Pod>(buf: HostBuf<'_>) -> &mut [E] {
    match buf {
        HostBuf::Read(_) => unreachable!("the executor passes a written binding as `HostBuf::Write`"),
        HostBuf::Write(words) => bytemuck::cast_slice_mut(words),
    }
}

impl AccessType for write {
    const ACCESS: Access = Access::Write;
    type View<'a, E: 'a> = &'a mut [E];
    fn view<E: Pod>(buf: HostBuf<'_>) -> &mut [E] {
        view_mut(buf)
    }
}

impl AccessType for update {
    const ACCESS: Access = Access::Update;
    type View<'a, E: 'a> = &'a mut [E];
    fn view<E: Pod>(buf: HostBuf<'_>) -> &mut [E] {
        view_mut(buf)
    }
}
