//! Enumerations whose values have names in commands, files and reports, and sets of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A value that its name identifies.
pub trait Named: Copy + Eq + 'static {
    /// Every value. A [`Set`] holds at most 16.
    const ALL: &'static [Self];

    /// The name in commands, files and reports.
    fn name(self) -> &'static str;
}

/// A name that no value has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}; known are {known}")]
pub struct UnknownName {
    /// The kind of value, with its article.
    pub what: &'static str,
    /// The text that was read.
    pub text: String,
    /// The known names.
    pub known: String,
}

/// Finds the value with a name.
///
/// # Errors
/// [`UnknownName`] lists the known names. `what` is the kind of value, with its article.
pub fn parse_name<T: Named>(what: &'static str, text: &str) -> Result<T, UnknownName> {
    T::ALL.iter().copied().find(|it| it.name() == text).ok_or_else(|| {
        let known = T::ALL.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
        UnknownName { what, text: text.to_owned(), known }
    })
}

/// Declares an enumeration with its names: [`Named`], `Display`, `FromStr`, and serde by name.
///
/// The literal before the name of the type is the kind of value with its article, for errors: `"a part"`.
#[macro_export]
macro_rules! named {
    ($(#[$meta:meta])* $what:literal $Enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Enum {
            $($(#[$doc])* $variant,)*
        }

        impl $Enum {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in commands, files and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl $crate::Named for $Enum {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $Enum {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::parse_name($what, text)
            }
        }

        impl serde::Serialize for $Enum {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Enum {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
/// A set of named values. In files it is an array of names, in the order of declaration.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Set<T>(u16, PhantomData<T>);

impl<T: Named> Set<T> {
    /// The empty set.
    pub const NONE: Self = Self(0, PhantomData);

    /// Every value.
    #[must_use]
    pub fn all() -> Self {
        T::ALL.iter().copied().collect()
    }

    /// This one too.
    #[must_use]
    pub fn with(self, value: T) -> Self {
        Self(self.0 | bit(value), PhantomData)
    }

    /// All but this one.
    #[must_use]
    pub fn without(self, value: T) -> Self {
        Self(self.0 & !bit(value), PhantomData)
    }

    /// Whether it is in the set.
    #[must_use]
    pub fn has(self, value: T) -> bool {
        self.0 & bit(value) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The values, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL.iter().copied().filter(move |&value| self.has(value))
    }
}

/// The bit of a value: its index in the declaration.
fn bit<T: Named>(value: T) -> u16 {
    let index = T::ALL.iter().position(|&it| it == value);
    1 << index.expect("ALL has every value")
}

impl<T: Named> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        values.into_iter().fold(Self::NONE, Self::with)
    }
}

impl<T: Named> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(T::name)).finish()
    }
}

impl<T: Named> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(T::name))
    }
}

impl<'de, T: Named + Deserialize<'de>> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<T>::deserialize(from)?.into_iter().collect())
    }
}
