//! Models of the Hugging Face Hub, by names as llama.cpp's `-hf` takes them: `user/model:Q4_K_M`.
//!
//! The cache is that of `huggingface_hub` and `hf-hub`, in the same folder and layout, so that they share files. Its layout:
//! <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>. [`local`] finds a model in it and uses no network.
//! [`fetch()`] downloads what is missing. It is in builds with the feature `net`.

mod cache;
#[cfg(feature = "net")]
mod client;
#[cfg(feature = "net")]
mod digest;
#[cfg(feature = "net")]
mod download;
mod error;
#[cfg(feature = "net")]
mod fetch;
mod fetched;
#[cfg(feature = "net")]
mod http;
#[cfg(feature = "net")]
mod listing;
mod name;
mod select;
#[cfg(feature = "net")]
mod token;

pub use cache::{Found, folder, local};
pub use error::Error;
#[cfg(feature = "net")]
pub use fetch::{Event, Options, fetch};
pub use fetched::{Fetched, FetchedFile};
pub use name::Name;
#[cfg(feature = "net")]
pub use token::Token;
