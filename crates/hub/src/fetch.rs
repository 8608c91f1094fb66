//! Fetching a model into the cache.
//!
//! 1. List the files of the revision, and choose those of the model.
//! 2. For each, under a lock: download the blob if it is missing, then link it into the snapshot.
//! 3. Write `refs/<revision>`. Until then, the name means the previous snapshot.

use crate::cache::Repo;
use crate::client::repeat;
use crate::download::Download;
use crate::http::{Failure, Http, encoded};
use crate::listing::{self, Listing, Remote};
use crate::name::is_commit;
use crate::select::select;
use crate::token::is_on;
use crate::{Error, Fetched, FetchedFile, Name, Token};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The Hub.
const ENDPOINT: &str = "https://huggingface.co";

/// Revisions that this process has written.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server, without a slash at the end.
    pub endpoint: String,
    /// The cache: [`crate::folder`] or another.
    pub cache: PathBuf,
    /// The access token.
    pub token: Option<Token>,
    /// Use the cache only.
    pub offline: bool,
    /// A connection that sends nothing for this time is given up.
    pub stall: Duration,
    /// The first pause after a failure; it doubles with each.
    pub pause: Duration,
}

impl Options {
    /// The options of `HF_ENDPOINT`, `HF_HUB_OFFLINE` and the variables of [`crate::folder`] and [`Token::from_env`].
    ///
    /// # Errors
    /// [`Error::Setting`] where a variable is not valid; [`Error::NoHome`] where the cache is not known.
    pub fn from_env() -> Result<Self, Error> {
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|it| !it.is_empty());
        let endpoint = endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/');
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            let problem = format!("{endpoint:?} is no address that begins with https:// or http://");
            return Err(Error::Setting { variable: "HF_ENDPOINT".to_owned(), problem });
        }
        Ok(Self {
            endpoint: endpoint.to_owned(),
            cache: crate::folder()?,
            token: Token::from_env()?,
            offline: is_on("HF_HUB_OFFLINE"),
            stall: Duration::from_secs(30),
            pause: Duration::from_secs(1),
        })
    }
}

/// What happens while a model is fetched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process fetches the file.
    Waiting {
        /// The path in the repository.
        file: &'a str,
    },
    /// A download begins, or continues.
    Start {
        /// The path in the repository.
        file: &'a str,
        /// Bytes that are there already.
        have: u64,
        /// Bytes of the file, where the server says so.
        bytes: Option<u64>,
    },
    /// Bytes of the file that are there now.
    Received {
        /// Their number.
        bytes: u64,
    },
    /// A request failed, and another follows.
    Retry {
        /// The path in the repository, or `list of files`.
        file: &'a str,
        /// Why it failed.
        reason: String,
        /// The pause before the next.
        wait: Duration,
    },
    /// The file is complete and checked.
    Done {
        /// The path in the repository.
        file: &'a str,
    },
    /// The server cannot be reached. The model in the cache is used, which may not be the newest.
    Unreachable {
        /// Why.
        reason: String,
    },
}

/// Fetches a model into the cache, and finds it there. What is there is not downloaded again.
///
/// # Errors
/// The server denies it, lacks it or fails; a file has another length or checksum; the cache cannot be written.
pub fn fetch(name: &Name, options: &Options, on: &mut dyn FnMut(Event<'_>)) -> Result<Fetched, Error> {
    let repo = Repo::of(name, options.cache.clone());
    let cached = || repo.find(name).map(|found| Fetched { found, commit: None, files: Vec::new() });
    if options.offline {
        return cached().map_err(|error| Error::Offline { source: Box::new(error) });
    }
    let http = Http::new(&options.endpoint, options.token.clone(), options.stall);
    let listing = match list(&http, options, name, on) {
        Ok(listing) => listing,
        Err(error @ (Error::Connection { .. } | Error::Status { .. } | Error::Busy { .. })) => {
            let Ok(fetched) = cached() else { return Err(error) };
            on(Event::Unreachable { reason: error.to_string() });
            return Ok(fetched);
        }
        Err(error) => return Err(error),
    };
    let names: Vec<&str> = listing.files.keys().map(String::as_str).collect();
    let job = Job { repo: &repo, name, options, http: &http, listing: &listing };
    let selected = select(name, &names)?;
    let files = selected.files().iter().map(|file| job.file(file, on)).collect::<Result<_, _>>()?;
    job.write_ref()?;
    Ok(Fetched { found: repo.find(name)?, commit: Some(listing.commit.clone()), files })
}

fn list(
    http: &Http,
    options: &Options,
    name: &Name,
    on: &mut dyn FnMut(Event<'_>),
) -> Result<Listing, Error> {
    repeat(
        options.pause,
        &mut |error, wait| on(Event::Retry { file: "list of files", reason: error.to_string(), wait }),
        &mut || listing::get(http, &options.endpoint, name).map_err(|it: Failure| (it, false)),
    )
}

/// The model that is fetched.
struct Job<'a> {
    repo: &'a Repo,
    name: &'a Name,
    options: &'a Options,
    http: &'a Http,
    listing: &'a Listing,
}

impl Job<'_> {
    /// Makes one file of the snapshot.
    fn file(&self, file: &str, on: &mut dyn FnMut(Event<'_>)) -> Result<FetchedFile, Error> {
        let remote = &self.listing.files[file];
        let link = self.repo.snapshot(&self.listing.commit).join(file);
        let key = match &remote.digest {
            Some(digest) => digest.hex().to_owned(),
            None => format!("{}-{}", self.listing.commit, encoded(file, false)),
        };
        let _lock = self.lock(&key, file, on)?;
        let checksum = remote.digest.as_ref().map(|it| it.hex().to_owned());
        if let Some(bytes) = complete(&link, remote) {
            return Ok(FetchedFile { file: file.to_owned(), bytes, checksum, downloaded: false });
        }
        let blobs = self.repo.join("blobs");
        if let Some(bytes) = checksum.as_ref().and_then(|it| complete(&blobs.join(it), remote)) {
            self.link(file, &key)?;
            return Ok(FetchedFile { file: file.to_owned(), bytes, checksum, downloaded: false });
        }
        create(&blobs)?;
        let part = blobs.join(format!("{key}.incomplete"));
        let address = format!(
            "{}/{}/resolve/{}/{}",
            self.options.endpoint,
            self.name.repo,
            self.listing.commit,
            encoded(file, true)
        );
        let (http, remote, pause) = (self.http, remote.clone(), self.options.pause);
        let digest = Download { http, address, file, remote, part: &part, pause }.run(on)?;
        let blob = blobs.join(digest.hex());
        let io = |source| Error::Io { path: blob.clone(), source };
        fs::rename(&part, &blob).map_err(io)?;
        let bytes = fs::metadata(&blob).map_err(io)?.len();
        self.link(file, digest.hex())?;
        on(Event::Done { file });
        Ok(FetchedFile {
            file: file.to_owned(),
            bytes,
            checksum: Some(digest.hex().to_owned()),
            downloaded: true,
        })
    }

    /// The lock of a blob, which `huggingface_hub` takes too. It ends with its process.
    fn lock(&self, key: &str, file: &str, on: &mut dyn FnMut(Event<'_>)) -> Result<File, Error> {
        let folder = self.repo.cache.join(".locks").join(&self.repo.folder);
        create(&folder)?;
        let path = folder.join(format!("{key}.lock"));
        let io = |source| Error::Io { path: path.clone(), source };
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on(Event::Waiting { file });
                lock.lock().map_err(io)?;
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        Ok(lock)
    }

    /// Links a blob into the snapshot: a relative symbolic link, or the file where there are none.
    fn link(&self, file: &str, blob: &str) -> Result<(), Error> {
        let link = self.repo.snapshot(&self.listing.commit).join(file);
        create(link.parent().unwrap_or(Path::new("")))?;
        match fs::remove_file(&link) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { path: link, source });
            }
            _ => {}
        }
        let blob_path = self.repo.join("blobs").join(blob);
        let relative: PathBuf =
            [&"../".repeat(file.matches('/').count() + 2), "blobs", blob].iter().collect();
        let linked = symlink(&relative, &link).or_else(|_| fs::hard_link(&blob_path, &link));
        linked.or_else(|_| copy(&blob_path, &link)).map_err(|source| Error::Io { path: link, source })
    }

    /// Lets the revision mean this commit.
    fn write_ref(&self) -> Result<(), Error> {
        if is_commit(&self.name.revision) {
            return Ok(());
        }
        let path = self.repo.join("refs").join(&self.name.revision);
        create(path.parent().unwrap_or(Path::new("")))?;
        // Threads and processes that fetch at once each write a file of their own.
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let new = path.with_file_name(format!(".{}.{}.{number}", self.listing.commit, std::process::id()));
        let written = fs::write(&new, &self.listing.commit).and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| Error::Io { path, source })
    }
}

/// The length of a file that is complete as far as the server's length shows.
fn complete(path: &Path, remote: &Remote) -> Option<u64> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(metadata.len()).filter(|it| remote.bytes.is_none_or(|bytes| bytes == *it))
}

fn create(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Copies a file under another name first, so that no half of it is ever seen.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let new = to.with_extension(format!("{}.incomplete", std::process::id()));
    fs::copy(from, &new)?;
    fs::rename(&new, to)
}
