//! The tokens of a router: those of its configuration, and those that `weir token` keeps in its data folder.
//!
//! The file `tokens.json` has the hashes of tokens, not tokens. A running router looks at it twice a second, so that a
//! revoked token is void within a second. **If the file can't be read, the tokens stay as they were**, and a router that
//! starts with such a file doesn't start: without its tokens, everything might be open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use weir_access::{Access, Grant, TokenEntry, TokenHash};
use weir_journal::disk::{create_folder, replace_file};

use crate::config::{TokenSecret, TokenSettings};
use crate::limits;
use crate::wiring::lock;

/// The tokens of a data folder.
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<TokenEntry>,
}

impl TokenFile {
    /// The file in a data folder.
    pub fn of(data: &Path) -> TokenFile {
        TokenFile { path: data.join("tokens.json") }
    }

    /// The tokens in the file; none if there is no file.
    pub fn read(&self) -> anyhow::Result<Vec<TokenEntry>> {
        let place = || format!("can't read the tokens in {}", self.path.display());
        match fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice::<Content>(&bytes).with_context(place)?.tokens),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(place),
        }
    }

    /// Changes the tokens in the file. Another process that does the same at this time is waited for.
    pub fn change<T>(&self, change: impl FnOnce(&mut Vec<TokenEntry>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        create_folder(folder, 0o700).with_context(|| format!("can't create the data folder {}", folder.display()))?;
        let lock = File::open(folder)?;
        lock.lock().with_context(|| format!("can't lock {}", folder.display()))?;
        let mut tokens = self.read()?;
        let changed = change(&mut tokens)?;
        let content = serde_json::to_vec_pretty(&Content { tokens })?;
        replace_file(&self.path, &content).with_context(|| format!("can't write {}", self.path.display()))?;
        Ok(changed)
    }
}

/// What changes when a file does.
pub type Version = Option<(SystemTime, u64)>;

pub fn version(path: &Path) -> Version {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.ino()))
}

/// Tokens that were read and checked, to be published.
pub struct PreparedTokens {
    configured: Vec<TokenSettings>,
    grants: Vec<Grant>,
    seen: Vec<Version>,
}

impl PreparedTokens {
    pub fn are_none(&self) -> bool {
        self.grants.is_empty()
    }
}

/// The tokens of a running router.
pub struct Tokens {
    file: TokenFile,
    configured: Vec<TokenSettings>,
    access: Arc<Access>,
    /// Of the files, as they were read.
    seen: Vec<Version>,
}

impl Tokens {
    /// Reads the tokens. `key`: the key of the data folder.
    pub fn open(
        data: &Path,
        configured: &[TokenSettings],
        key: &str,
        is_open_without_tokens: bool,
    ) -> anyhow::Result<Tokens> {
        let access = Arc::new(Access::new(is_open_without_tokens).with_key(key));
        let mut tokens = Tokens { file: TokenFile::of(data), configured: Vec::new(), access, seen: Vec::new() };
        tokens.publish(tokens.prepare(configured)?);
        Ok(tokens)
    }

    pub fn access(&self) -> Arc<Access> {
        self.access.clone()
    }

    /// Reads the tokens of a configuration, and those of the data folder. Changes nothing.
    pub fn prepare(&self, configured: &[TokenSettings]) -> anyhow::Result<PreparedTokens> {
        // Before reading, so that no change is missed.
        let seen = self.versions(configured);
        Ok(PreparedTokens { configured: configured.to_vec(), grants: self.grants(configured)?, seen })
    }

    /// Replaces all tokens.
    pub fn publish(&mut self, prepared: PreparedTokens) {
        self.access.set(prepared.grants);
        self.configured = prepared.configured;
        self.seen = prepared.seen;
    }

    fn versions(&self, configured: &[TokenSettings]) -> Vec<Version> {
        let files = configured.iter().filter_map(|token| match &token.secret {
            TokenSecret::File(path) => Some(version(path)),
            TokenSecret::Hash(_) | TokenSecret::Environment(_) => None,
        });
        [version(&self.file.path)].into_iter().chain(files).collect()
    }

    fn grants(&self, configured: &[TokenSettings]) -> anyhow::Result<Vec<Grant>> {
        let mut grants: Vec<Grant> = Vec::new();
        for token in configured {
            grants.push(Grant::new(token.entry_of(hash(token)?))?.with_quota(token.limits.clone()));
        }
        for entry in self.file.read()? {
            if grants.iter().any(|grant| grant.entry.name == entry.name) {
                bail!("the token `{}` is both in the configuration and in {}", entry.name, self.file.path.display());
            }
            grants.push(Grant::new(entry)?);
        }
        Ok(grants)
    }

    /// Reads the tokens again if one of the files has changed.
    fn look(&mut self) {
        let versions = self.versions(&self.configured);
        if versions == self.seen {
            return;
        }
        match self.prepare(&self.configured) {
            Ok(prepared) => {
                self.publish(prepared);
                tracing::info!("the tokens have changed");
            }
            Err(error) => {
                self.seen = versions;
                tracing::error!("the tokens stay as they were: {error:#}");
            }
        }
    }
}

/// Takes changes of the files up until it is aborted.
pub fn watch(tokens: Arc<Mutex<Tokens>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut looks = interval(limits::TOKENS_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            lock(&tokens).look();
        }
    })
}

/// The hash of a token of the configuration.
fn hash(token: &TokenSettings) -> anyhow::Result<TokenHash> {
    let text = match &token.secret {
        TokenSecret::Hash(hash) => return Ok(*hash),
        TokenSecret::Environment(name) => std::env::var(name)
            .ok()
            .with_context(|| format!("token `{}`: the environment variable {name} is not set", token.name))?,
        TokenSecret::File(path) => fs::read_to_string(path)
            .with_context(|| format!("token `{}`: can't read {}", token.name, path.display()))?,
    };
    let text = text.trim();
    if text.len() < limits::MIN_TOKEN_BYTES {
        bail!(
            "token `{}` has {} characters, fewer than {}; `weir token new NAME --role ROLE --hash` makes a good one",
            token.name,
            text.len(),
            limits::MIN_TOKEN_BYTES
        );
    }
    Ok(TokenHash::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use weir_access::{Caller, Credential, Denied, Role, Token};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn entry(name: &str, token: &Token) -> TokenEntry {
        TokenEntry {
            name: name.to_owned(),
            role: Role::Read,
            sources: vec![],
            routes: vec![],
            hash: token.hash(),
            created_ns: 0,
            expires_ns: None,
        }
    }

    fn known(access: &Access, shown: Credential<'_>) -> Result<Caller, Denied> {
        access.caller(shown, HERE, &access.account(HERE))
    }

    #[tokio::test]
    async fn a_running_router_takes_up_new_and_revoked_tokens() {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::open(folder.path(), &[], "key", true).expect("opens");
        let access = tokens.access();
        assert!(access.is_open());
        let watching = watch(Arc::new(Mutex::new(tokens)));
        let token = Token::random().expect("random");
        let file = TokenFile::of(folder.path());
        file.change(|tokens| {
            tokens.push(entry("ci", &token));
            Ok(())
        })
        .expect("writes");
        let until = async |wanted: bool| {
            while known(&access, Credential::Token(token.reveal())).is_ok_and(|caller| caller.name().is_some())
                != wanted
            {
                tokio::task::yield_now().await;
            }
        };
        until(true).await;
        assert_eq!(known(&access, Credential::Nothing).err(), Some(Denied::Missing));
        assert!(known(&access, Credential::Token("key")).is_ok(), "the key of the data folder");
        file.change(|tokens| {
            tokens.clear();
            tokens.push(entry("other", &Token::random()?));
            Ok(())
        })
        .expect("writes");
        until(false).await;
        watching.abort();
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        for content in ["", "{", r#"{"tokens":[{"name":"a"}]}"#, r#"{"tokens":[],"more":1}"#] {
            fs::write(&path, content).expect("writes");
            let error = Tokens::open(folder.path(), &[], "key", true).err().expect(content);
            assert!(format!("{error:#}").contains("tokens.json"), "{error:#}");
            TokenFile::of(folder.path()).change(|_| Ok(())).expect_err(content);
            assert_eq!(fs::read_to_string(&path).expect("readable"), content);
        }
    }
}
