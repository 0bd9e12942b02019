//! The database: opened, migrated, read; writing is in `write`.

use crate::checkpoint::Checkpoints;
use crate::readers::{Reader, Readers};
use crate::sqlite::{Access, Options, Sqlite, is_of_one_thread};
use crate::write::{self, Writer};
use crate::{Result, StoreError, schema};
use futures_util::FutureExt;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Readers of a SQLite file: enough that a slow list holds nobody up.
const READERS: u32 = 4;
/// How long a caller waits for a connection of a pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most connections to PostgreSQL.
const POSTGRES_CONNECTIONS_MAX: u32 = 16;

/// Where the database is, and how it is read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A path of a SQLite file (also as `sqlite://path`), or a `postgres://` URL.
    pub url: String,
    /// Readers of a SQLite file.
    pub readers: u32,
    /// Most pages (of 4 KiB) that a SQLite file may grow to; beyond, writes are refused as on a
    /// full disk.
    pub pages_max: Option<u32>,
    /// The database is only looked at: every write is refused, and nothing is made or migrated.
    pub read_only: bool,
}

/// What a test puts in the way of writes: it may hold one for ever (a crash), refuse it, or lose its
/// answer.
pub trait Turnstile: std::fmt::Debug + Send + Sync {
    /// Passed before the transaction begins; an error refuses it.
    fn before(&self) -> BoxFuture<'_, Result<()>>;

    /// Passed when the transaction has been committed; an error is its answer instead of its own.
    fn after(&self) -> BoxFuture<'_, Result<()>>;
}

impl Settings {
    /// The database of that path or URL, as a server uses it.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), readers: READERS, pages_max: None, read_only: false }
    }
}

/// The database.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    turnstile: Option<Arc<dyn Turnstile>>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) commits: Arc<AtomicU64>,
}

pub(crate) enum Database {
    /// One writer behind a queue, so that writers never meet, and a pool of readers.
    Sqlite { readers: Readers, writer: Writer },
    /// Any number of both; the database keeps them apart.
    Postgres(PgPool),
}

/// A connection: inside a transaction if it came from [`Store::write`], reading only otherwise.
pub struct Tx {
    pub(crate) connection: Connection,
    /// The first error after which the database may have given the transaction up. Everything
    /// later fails with it, and nothing is committed: a job that swallows an error must not be
    /// told that its writes are there.
    pub(crate) broken: Option<StoreError>,
}

impl Tx {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, broken: None }
    }

    /// Holds everybody else who wants to write the same pod up until the transaction ends. To be
    /// called before its row is read.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_lock(&mut self, id: &podbay_core::PodId) -> Result<()> {
        self.lock_name(id.as_str()).await
    }

    /// Holds everybody else who asks for the same name up until the transaction ends. With one
    /// writer there is nobody else.
    pub(crate) async fn lock_name(&mut self, name: &str) -> Result<()> {
        self.lock_with("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name).await
    }

    /// The same for a name that is no id: those locks are of a whole database, and other schemas have the name, too.
    pub(crate) async fn lock_in_schema(&mut self, name: &str) -> Result<()> {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || $1, 0))";
        self.lock_with(sql, name).await
    }

    async fn lock_with(&mut self, sql: &'static str, name: &str) -> Result<()> {
        let Connection::Postgres(connection) = &mut self.connection else { return Ok(()) };
        let query = sqlx::query(sql).bind(name);
        let locked = query.execute(&mut **connection).await.map(|_| ()).map_err(StoreError::from);
        self.note(locked)
    }

    /// Remembers an error that breaks the transaction: any for PostgreSQL; for SQLite those after
    /// which it may roll back by itself.
    pub(crate) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            let breaks = match &mut self.connection {
                Connection::Postgres(_) => true,
                Connection::Sqlite(SqliteHandle::Reader(reader)) => {
                    if matches!(error, StoreError::Unavailable(_)) {
                        reader.set_broken();
                    }
                    false
                }
                Connection::Sqlite(SqliteHandle::Writer(_)) => {
                    matches!(
                        error,
                        StoreError::DiskFull(_) | StoreError::Unavailable(_) | StoreError::Other(_)
                    )
                }
            };
            if breaks {
                self.broken = Some(error.clone());
            }
        }
        result
    }
}

pub(crate) enum Connection {
    Sqlite(SqliteHandle),
    Postgres(PoolConnection<Postgres>),
}

/// The writer's own connection travels in and out of jobs; a reader's belongs to its pool.
pub(crate) enum SqliteHandle {
    Writer(Sqlite),
    Reader(Reader),
}

impl std::ops::Deref for SqliteHandle {
    type Target = Sqlite;
    fn deref(&self) -> &Sqlite {
        match self {
            Self::Writer(connection) => connection,
            Self::Reader(reader) => reader.connection(),
        }
    }
}

impl std::ops::DerefMut for SqliteHandle {
    fn deref_mut(&mut self) -> &mut Sqlite {
        match self {
            Self::Writer(connection) => connection,
            Self::Reader(reader) => reader.connection_mut(),
        }
    }
}

/// A future that a job of [`Store::write`] returns.
pub type BoxFuture<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

impl Store {
    /// Opens the database, makes it if it is a file that is not there, and migrates it.
    ///
    /// # Errors
    /// It cannot be opened, a migration does not fit what is in it, or this program is too old for it.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let commits = Arc::new(AtomicU64::new(1));
        let database = if settings.url.starts_with("postgres") {
            open_postgres(settings).await?
        } else {
            open_sqlite(settings, commits.clone())?
        };
        let store = Self::on(database, commits);
        store.reader().await?.schema().await?.check()?;
        Ok(store)
    }

    fn on(database: Database, commits: Arc<AtomicU64>) -> Self {
        Self { inner: Arc::new(Inner { database, commits }), turnstile: None }
    }

    /// The same database, all writes of which pass a turnstile: for tests.
    #[must_use]
    pub fn behind(&self, turnstile: Arc<dyn Turnstile>) -> Self {
        Self { inner: self.inner.clone(), turnstile: Some(turnstile) }
    }

    /// A connection for reading. SQLite reads on the thread that asks, so this is for what takes less than a
    /// millisecond; for more there is [`Store::snapshot`].
    ///
    /// # Errors
    /// None was free in time, or the database does not answer.
    pub async fn reader(&self) -> Result<Tx> {
        let connection = match &self.inner.database {
            Database::Sqlite { readers, .. } => {
                Connection::Sqlite(SqliteHandle::Reader(readers.take().await?))
            }
            Database::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
        };
        Ok(Tx::new(connection))
    }

    /// Runs `job`, which only reads, on one state of the database: it sees all of each transaction
    /// that writes meanwhile, or nothing.
    ///
    /// # Errors
    /// What `job` answers, or why it could not be run.
    pub async fn snapshot<T, E, F>(&self, job: F) -> std::result::Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, std::result::Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut tx = self.reader().await?;
        let is_here = matches!(tx.connection, Connection::Sqlite(_));
        let read = async move {
            let begin = match &mut tx.connection {
                Connection::Sqlite(_) => "BEGIN",
                Connection::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            };
            crate::exec!(&mut tx, begin)?;
            let done = std::panic::AssertUnwindSafe(job(&mut tx)).catch_unwind().await;
            tx.broken = None;
            if crate::exec!(&mut tx, "ROLLBACK").is_err()
                && let Connection::Sqlite(SqliteHandle::Reader(reader)) = &mut tx.connection
            {
                reader.set_broken();
            }
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        // In a task of its own: a caller that goes away must not leave a snapshot open. Where it is read on
        // the thread that asks, that is one that may take its time.
        let runtime = tokio::runtime::Handle::current();
        let read = match is_here && !is_of_one_thread(&runtime) {
            true => tokio::task::spawn_blocking(move || runtime.block_on(read)),
            false => tokio::spawn(read),
        };
        match read.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
        }
    }

    /// Runs `job` in a transaction of its own; an `Err` or a panic undoes what it wrote. With
    /// SQLite, jobs that wait together share one durable commit, and none is answered before it.
    ///
    /// # Errors
    /// What `job` answers, or why the transaction could not be begun or committed.
    pub async fn write<T, E, F>(&self, job: F) -> std::result::Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, std::result::Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(turnstile) = &self.turnstile else { return self.commit(job).await };
        turnstile.before().await?;
        let done = self.commit(job).await;
        if done.is_ok() {
            turnstile.after().await?;
        }
        done
    }

    async fn commit<T, E, F>(&self, job: F) -> std::result::Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, std::result::Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.inner.database {
            Database::Sqlite { writer, .. } => writer.write(job).await,
            Database::Postgres(pool) => {
                // In a task of its own: a caller that goes away must not leave a transaction open.
                let done = tokio::spawn(write::in_transaction(pool.clone(), job)).await;
                self.inner.commits.fetch_add(1, Ordering::SeqCst);
                match done {
                    Ok(result) => result,
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
                }
            }
        }
    }

    /// Counts the commits of this process. What was read under one count is still true while the
    /// count stands, if this process is the only writer.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.commits.load(Ordering::SeqCst)
    }

    /// Whether nobody but this process writes.
    #[must_use]
    pub fn is_single_writer(&self) -> bool {
        matches!(self.inner.database, Database::Sqlite { .. })
    }

    /// Finishes what is queued and closes all connections.
    pub async fn close(&self) {
        match &self.inner.database {
            Database::Sqlite { readers, writer } => {
                readers.close();
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_postgres(settings: &Settings) -> Result<Database> {
    let mut options: PgConnectOptions = settings.url.parse()?;
    if settings.read_only {
        options = options.options([("default_transaction_read_only", "on")]);
    }
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    if !settings.read_only {
        schema::migrator().run(&pool).await.map_err(schema::failed)?;
    }
    Ok(Database::Postgres(pool))
}

fn open_sqlite(settings: &Settings, commits: Arc<AtomicU64>) -> Result<Database> {
    let path = settings.url.trim_start_matches("sqlite://").trim_start_matches("sqlite:");
    let options =
        |access| Options { path: path.into(), access, pages_max: settings.pages_max, in_memory: false };
    let readers = || Readers::open(options(Access::Read), settings.readers.max(1));
    if settings.read_only {
        let writer = Writer::start(options(Access::Read).open()?, commits, None)?;
        return Ok(Database::Sqlite { readers: readers()?, writer });
    }
    make_private(path)?;
    let mut connection = options(Access::Make).open()?;
    schema::migrate(&mut connection)?;
    let checkpoints = Checkpoints::start(options(Access::Write), &mut connection)?;
    let writer = Writer::start(connection, commits, Some(checkpoints))?;
    Ok(Database::Sqlite { readers: readers()?, writer })
}

/// A store on what `connection` has open, which has no write-ahead log.
pub(crate) fn open_with(connection: Sqlite, options: &Options, readers: u32) -> Result<Store> {
    let commits = Arc::new(AtomicU64::new(1));
    let readers = Readers::open(Options { access: Access::Read, ..options.clone() }, readers)?;
    let writer = Writer::start(connection, commits.clone(), None)?;
    Ok(Store::on(Database::Sqlite { readers, writer }, commits))
}

/// Makes the file for its owner only, if there is none: it holds the environment of pods. Its
/// companions take over its mode.
fn make_private(path: &str) -> Result<()> {
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        // SQLite says better what is wrong, and may still be able to read.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::Unavailable(format!("{path}: {error}"))),
    }
}
