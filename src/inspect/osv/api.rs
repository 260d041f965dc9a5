//! Advisories from a server that speaks OSV's API
//! (<https://google.github.io/osv.dev/api/>): which there are, in batches, and then each.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::record::Record;
use super::{Advisories, Named, OsvError, name_of};
use crate::core::progress::Progress;
use crate::inspect::diff::facts::Ecosystem;
use crate::obtain::fetch::document::{Answer, Library, Question};

const JSON: &str = "application/json";
/// How many packages a batch may ask for.
const BATCH: usize = 1000;

#[derive(Deserialize)]
struct Batch {
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    vulns: Vec<Id>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Advisories {
    /// Asks a server for what it knows of packages.
    ///
    /// # Errors
    /// When it cannot be asked, or answers something else.
    pub fn ask(
        server: &Url,
        ecosystem: Ecosystem,
        packages: &BTreeSet<Named>,
        library: &Library<'_>,
        progress: &Progress,
    ) -> Result<Self, OsvError> {
        let base = server.as_str().trim_end_matches('/');
        let url = |path: &str| {
            Url::parse(&format!("{base}/v1/{path}"))
                .map_err(|error| OsvError::Answer(format!("{base} is not a server: {error}")))
        };
        let packages: Vec<&Named> = packages.iter().collect();
        let mut pending: Vec<(&Named, Option<String>)> =
            packages.into_iter().map(|one| (one, None)).collect();
        let mut ids = BTreeSet::new();
        while !pending.is_empty() {
            let mut next = Vec::new();
            for batch in pending.chunks(BATCH) {
                let queries = batch.iter().map(|((name, version), page)| {
                    let package = json!({"name": name, "ecosystem": name_of(ecosystem)});
                    let mut query = json!({"package": package, "version": version});
                    if let (Some(page), Some(query)) = (page, query.as_object_mut()) {
                        query.insert("page_token".to_owned(), json!(page));
                    }
                    query
                });
                let body = json!({"queries": queries.collect::<Vec<_>>()}).to_string();
                let question = Question {
                    url: url("querybatch")?,
                    accept: JSON,
                    body: Some(body.into_bytes()),
                };
                let answers = library.ask(&[question], progress)?;
                let read: Batch = parsed(answers.into_iter().next(), "querybatch")?;
                for ((named, _), one) in batch.iter().zip(read.results) {
                    ids.extend(one.vulns.into_iter().map(|vuln| vuln.id));
                    if let Some(page) = one.next_page_token.filter(|page| !page.is_empty()) {
                        next.push((*named, Some(page)));
                    }
                }
            }
            pending = next;
        }
        let mut questions = Vec::new();
        for id in &ids {
            let encoded =
                percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
            questions.push(Question::of(url(&format!("vulns/{encoded}"))?, JSON));
        }
        let answers = library.ask(&questions, progress)?;
        let records = answers.into_iter().zip(&ids);
        let records = records.map(|(answer, id)| parsed::<Record>(Some(answer), id));
        Ok(Self::of(records.collect::<Result<Vec<_>, _>>()?, ecosystem))
    }
}

fn parsed<T: serde::de::DeserializeOwned>(
    answer: Option<Answer>,
    what: &str,
) -> Result<T, OsvError> {
    match answer {
        Some(Answer::Here { bytes, .. }) => serde_json::from_slice(&bytes)
            .map_err(|error| OsvError::Answer(format!("{what}: {error}"))),
        Some(Answer::Failed(why)) => Err(OsvError::Answer(format!("{what}: {why}"))),
        Some(Answer::Absent) | None => Err(OsvError::Answer(format!(
            "{what}: the server does not have it"
        ))),
    }
}
