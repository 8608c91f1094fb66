//! WGSL's own type names as Rust types, so that one token sequence declares a binding in both languages.
#![expect(
    non_camel_case_types,
    reason = "the names are WGSL's, so that `stringify!` of a binding type is WGSL"
)]

use crate::{Access, HostBuf};
use bytemuck::Pod;
use std::marker::PhantomData;

/// A run-time sized WGSL array.
#[derive(Debug)]
pub struct array<T>(PhantomData<T>);

/// A WGSL 4-vector; the host sees its components.
#[derive(Debug)]
pub struct vec4<T>(PhantomData<T>);

/// A type a binding may have.
pub trait BindingType {
    /// What one host element is.
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

/// How a binding is accessed; implemented by the structs [`read`], [`struct@write`] and [`update`].
pub trait AccessType {
    /// The access as a value.
    const ACCESS: Access;
    /// The twin's view of a binding with elements `E`.
    type View<'a, E: 'a>;
    /// Makes the view.
    fn view<E: Pod>(buf: HostBuf<'_>) -> Self::View<'_, E>;
}

/// Read-only binding.
#[derive(Debug)]
pub struct read;
/// Slot of which every element in the minimum binding size is written and none read.
#[derive(Debug)]
pub struct write;
/// Slot that is changed in place: elements may be read and may stay as they are.
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
        HostBuf::Read(_) => unreachable!("a written binding is handed out for writing"),
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
