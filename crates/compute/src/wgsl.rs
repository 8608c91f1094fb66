//! WGSL's own type names as Rust types, so that one token sequence declares a slot in both languages.
#![expect(non_camel_case_types, reason = "the names are WGSL's, so that `stringify!` of a slot type is WGSL")]

use crate::{Access, HostBuf};
use bytemuck::Pod;
use std::marker::PhantomData;

/// A run-time sized WGSL array.
#[derive(Debug)]
pub struct array<T>(PhantomData<T>);

/// A WGSL 4-vector; the host sees its components.
#[derive(Debug)]
pub struct vec4<T>(PhantomData<T>);

/// A type a slot may have.
pub trait SlotType {
    /// What one host element is.
    type Elem: Pod;
}
impl SlotType for array<f32> {
    type Elem = f32;
}
impl SlotType for array<u32> {
    type Elem = u32;
}
impl SlotType for array<vec4<f32>> {
    type Elem = f32;
}
impl SlotType for array<vec4<u32>> {
    type Elem = u32;
}

/// How a slot is accessed; implemented by the structs [`read`], [`struct@write`] and [`update`].
pub trait AccessType {
    /// The access as a value.
    const ACCESS: Access;
    /// The twin's view of a slot with elements `E`.
    type View<'a, E: 'a>;
    /// Makes the view.
    fn view<E: Pod>(buf: HostBuf<'_>) -> Self::View<'_, E>;
}

/// Read-only slot.
#[derive(Debug)]
pub struct read;
/// Slot of which every element in the extent is written and none read.
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
        HostBuf::Read(_) => unreachable!("a written slot is handed out for writing"),
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
