//! Selecting cells by label, shard and study.

use super::Cell;
use crate::Error;

/// Selects the cells of a matrix that this invocation runs.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    filter: Option<regex::Regex>,
    shard: Option<(u64, u64)>,
    studies: Vec<String>,
}

impl Selection {
    /// Every cell.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only cells whose label matches the regular expression.
    ///
    /// # Errors
    /// [`Error::Filter`].
    pub fn filter(mut self, pattern: &str) -> Result<Self, Error> {
        let bad = |source| Error::Filter { pattern: pattern.to_owned(), source };
        self.filter = Some(regex::Regex::new(pattern).map_err(bad)?);
        Ok(self)
    }

    /// Only shard `I/N` of the cells. The cell's hash decides its shard, so that shards never overlap.
    ///
    /// # Errors
    /// [`Error::Shard`] where the text is not `I/N` with `1 ≤ I ≤ N`.
    pub fn shard(mut self, text: &str) -> Result<Self, Error> {
        let bad = || Error::Shard { text: text.to_owned() };
        let (index, count) = text.split_once('/').ok_or_else(bad)?;
        let (index, count): (u64, u64) =
            (index.parse().map_err(|_| bad())?, count.parse().map_err(|_| bad())?);
        if index == 0 || index > count {
            return Err(bad());
        }
        self.shard = Some((index, count));
        Ok(self)
    }

    /// Only cells that one of these experiments or studies wants, such as `GAP-4` or `gap`.
    #[must_use]
    pub fn studies(mut self, names: &[String]) -> Self {
        self.studies = names.to_vec();
        self
    }

    /// Whether the cell is selected.
    #[must_use]
    pub fn takes(&self, cell: &Cell) -> bool {
        let here = self.shard.is_none_or(|(index, count)| {
            let head = u64::from_str_radix(&cell.id()[..16], 16).unwrap_or(0);
            head % count == index - 1
        });
        let is = |id: &String| self.studies.iter().any(|name| names(name, id));
        let wanted = self.studies.is_empty() || cell.studies.iter().any(is);
        here && wanted && self.filter.as_ref().is_none_or(|f| f.is_match(&cell.label()))
    }
}

/// Whether `name` is the experiment `id` or its study, in any case: `gap-4` and `GAP` both name `GAP-4`.
#[must_use]
pub fn names(name: &str, id: &str) -> bool {
    let study = id.split('-').next().unwrap_or_default();
    name.eq_ignore_ascii_case(id) || name.eq_ignore_ascii_case(study)
}
