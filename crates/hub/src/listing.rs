//! The files of a repository at a revision, with their lengths and checksums.

use crate::digest::Digest;
use crate::http::{Failure, Http, encoded};
use crate::name::{is_commit, is_path};
use crate::{Error, Name};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;

/// Most bytes of a listing that are read.
const LARGEST: u64 = 64 << 20;

/// A repository at a commit.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: BTreeMap<String, Remote>,
}

/// What the server says about a file.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) bytes: Option<u64>,
    pub(crate) digest: Option<Digest>,
}

#[derive(Deserialize)]
struct Json {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    size: Option<u64>,
    sha256: Option<String>,
}

/// Requests the listing: <https://huggingface.co/docs/hub/api>.
pub(crate) fn get(http: &Http, endpoint: &str, name: &Name) -> Result<Listing, Failure> {
    let revision = encoded(&name.revision, false);
    let answer =
        http.get(&format!("{endpoint}/api/models/{}/revision/{revision}?blobs=true", name.repo), 0)?;
    let address = answer.address.clone();
    let mut text = Vec::new();
    let read = answer.body.take(LARGEST).read_to_end(&mut text);
    read.map_err(|it| {
        Failure::Retry(Error::Connection { address: address.clone(), problem: it.to_string() }, None)
    })?;
    parse(&text).map_err(|problem| Failure::Fatal(Error::Answer { address, problem }))
}

fn parse(text: &[u8]) -> Result<Listing, String> {
    let json: Json = serde_json::from_slice(text)
        .map_err(|it| format!("the list of files is not what is expected: {it}"))?;
    if !is_commit(&json.sha) {
        return Err("the commit of the list of files is no hash".to_owned());
    }
    // A name that would leave the folder, or that no system stores, is never asked for.
    let files = json.siblings.into_iter().filter(|it| is_path(&it.rfilename));
    let files = files.map(|it| {
        let (bytes, digest) = match it.lfs {
            Some(lfs) => (lfs.size.or(it.size), lfs.sha256),
            None => (it.size, it.blob_id),
        };
        (it.rfilename, Remote { bytes, digest: digest.and_then(|it| Digest::parse(&it)) })
    });
    Ok(Listing { commit: json.sha, files: files.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_checksums_of_both_kinds() {
        let (commit, sha256) = ("0".repeat(40), "a".repeat(64));
        let text = format!(
            r#"{{"sha":"{commit}","gated":false,"siblings":[
                {{"rfilename":"config.json","size":3,"blobId":"{commit}"}},
                {{"rfilename":"m.gguf","size":9,"blobId":"{commit}","lfs":{{"sha256":"{sha256}","size":9,"pointerSize":1}}}},
                {{"rfilename":"old.txt"}},{{"rfilename":"../../x"}},{{"rfilename":"/etc/x"}}]}}"#
        );
        let listing = parse(text.as_bytes()).expect("a listing");
        assert_eq!(listing.files.keys().collect::<Vec<_>>(), ["config.json", "m.gguf", "old.txt"]);
        assert_eq!(listing.files["config.json"].digest, Some(Digest::Git(commit)));
        assert_eq!(listing.files["m.gguf"].digest, Some(Digest::Sha256(sha256)));
        assert!(listing.files["old.txt"].bytes.is_none() && listing.files["old.txt"].digest.is_none());
        for wrong in
            ["", "<html>", "{}", r#"{"sha":"main"}"#, r#"{"sha":"../../../../../../../../../../../../../x"}"#]
        {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
