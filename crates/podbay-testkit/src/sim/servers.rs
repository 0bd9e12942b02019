//! The servers of a run, on one database and one world: one, or two that both think they are alone; or up
//! to three that share the work by leases, and never hear a hint of each other.

use super::draw::Draw;
use super::points::{Points, Trouble};
use super::{FOR_TROUBLE, Run, Scene};
use crate::{Share, TestServer};
use axum::Router;
use podbay_server::app::App;
use podbay_server::http;
use podbay_server::reconcile::lease;
use podbay_server::reconcile::sweep::sweep;
use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::Arc;

/// Passes of one server until it has nothing to do, at most.
const PASSES_MAX: usize = 100;

type Work = Pin<Box<dyn Future<Output = bool> + Send>>;

struct One {
    app: Arc<App>,
    /// Made for the first who asks: many die before anybody does.
    router: OnceCell<Router>,
    points: Arc<Points>,
    /// A pass that stands still.
    held: Option<Work>,
}

/// See the module.
pub(super) struct Servers {
    all: Vec<One>,
    trouble: Trouble,
    has_leases: bool,
    seed: u64,
    started: u64,
    troubles: (u64, u64),
    pub leases_over: u64,
    pub crashes: u64,
    pub stand_stills: u64,
}

impl Servers {
    pub async fn start(server: &TestServer, scene: &Scene, seed: u64) -> Self {
        let (all, troubles) = (Vec::new(), (0, 0));
        let mut servers = Self {
            all,
            trouble: scene.trouble,
            has_leases: scene.has_leases,
            seed,
            started: 0,
            troubles,
            leases_over: 0,
            crashes: 0,
            stand_stills: 0,
        };
        for _ in 0..scene.servers {
            let one = servers.another(server).await;
            servers.all.push(one);
        }
        servers
    }

    async fn another(&mut self, server: &TestServer) -> One {
        self.started += 1;
        let draw = Draw::of(self.seed, FOR_TROUBLE - self.started);
        let points = Arc::new(Points::new(self.trouble, draw));
        // Ids must differ between servers, and be the same for a seed.
        let app = server.beside(self.started << 32, self.share(), points.clone()).await;
        One { app, router: OnceCell::new(), points, held: None }
    }

    pub fn share(&self) -> Share {
        if self.has_leases { Share::Among } else { Share::Only }
    }

    fn pick(&self, draw: &mut Draw) -> usize {
        draw.below(self.all.len() as u64) as usize
    }

    /// The way into one of them.
    pub fn any(&self, draw: &mut Draw) -> &Router {
        self.router(self.pick(draw))
    }

    pub fn count(&self) -> u64 {
        self.all.len() as u64
    }

    pub fn router(&self, nth: usize) -> &Router {
        let one = &self.all[nth];
        one.router.get_or_init(|| http::router(one.app.clone()))
    }

    pub fn points(&self, nth: usize) -> Arc<Points> {
        self.all[nth].points.clone()
    }

    /// One pass of one of them.
    pub async fn pass(&mut self, draw: &mut Draw) {
        let one = &self.all[self.pick(draw)];
        if self.has_leases && draw.below(3) == 0 {
            self.leases_over += lease::beat(&one.app).await.map_or(0, |beat| beat.expired);
        }
        one.app.driver.step(&one.app).await;
        // A task of its own in a server, which rests between two rounds.
        if draw.below(6) == 0 {
            podbay_server::tasks::keys::distribute(&one.app).await;
        }
    }

    pub async fn sweep(&mut self, draw: &mut Draw) -> String {
        format!("{:?}", sweep(&self.all[self.pick(draw)].app).await)
    }

    /// One of them sweeps, and does what follows at once.
    pub async fn look(&self, nth: usize) {
        let app = &self.all[nth].app;
        sweep(app).await;
        for _ in 0..PASSES_MAX {
            if !app.driver.step(app).await {
                break;
            }
        }
    }

    /// Takes up a pass that stands still, to its end.
    async fn go_on(&mut self, nth: usize) {
        let is_stale = self.all.len() > 1;
        let one = &mut self.all[nth];
        if let Some(mut held) = one.held.take() {
            one.points.go_on(is_stale);
            one.points.until_stopped(&mut held).await;
            one.points.freshen();
        }
    }

    /// What was refused and lost by all servers that there were.
    pub fn troubles(&self) -> (u64, u64) {
        self.all
            .iter()
            .map(|one| one.points.troubles())
            .fold(self.troubles, |sum, (refused, lost)| (sum.0 + refused, sum.1 + lost))
    }

    /// They die where they stand.
    pub fn end(&mut self) {
        self.troubles = self.troubles();
        self.all.drain(..).for_each(|one| one.points.die());
    }
}

impl Run {
    /// A server dies at a drawn point of a pass or of a sweep, and is started again.
    pub(super) async fn crash(&mut self) -> Result<String, String> {
        let nth = self.servers.pick(&mut self.draw);
        let (left, sweeps) = (self.draw.below(10), self.draw.below(6) == 0);
        let one = &self.servers.all[nth];
        let app = one.app.clone();
        let beats = self.servers.has_leases && self.draw.below(5) == 0;
        let mut work: Work = if beats {
            Box::pin(async move { lease::beat(&app).await.is_ok() })
        } else if sweeps {
            Box::pin(async move { sweep(&app).await.trouble.is_none() })
        } else {
            Box::pin(async move { app.driver.step(&app).await })
        };
        one.points.arm(left);
        let died = one.points.until_stopped(&mut work).await.is_none();
        drop(work);
        self.replace(nth).await;
        let what = if beats {
            "beat"
        } else if sweeps {
            "sweep"
        } else {
            "pass"
        };
        Ok(format!("server {nth} dies {} a {what}", if died { "within" } else { "after" }))
    }

    /// That server dies where it stands, and is started again.
    pub(super) async fn replace(&mut self, nth: usize) {
        let (refused, lost) = self.servers.all[nth].points.troubles();
        self.servers.troubles.0 += refused;
        self.servers.troubles.1 += lost;
        self.servers.all[nth].points.die();
        self.servers.crashes += 1;
        let fresh = self.servers.another(&self.server).await;
        self.servers.all[nth] = fresh;
    }

    /// A pod is ordered and deleted again while its pass stands still at a drawn point.
    pub(super) async fn change_of_mind(&mut self) -> Result<String, String> {
        let nth = self.servers.pick(&mut self.draw);
        if self.servers.all[nth].held.is_some() {
            return Ok("somebody stands still already".into());
        }
        let (app, points) = (self.servers.all[nth].app.clone(), self.servers.points(nth));
        // So that the next pass is that of the new pod.
        for _ in 0..PASSES_MAX {
            if !app.driver.step(&app).await {
                break;
            }
        }
        let name = self.draw.one_of(["ada", "eve"]);
        let user = self.server.user(name).await.through(self.servers.router(nth));
        let ordered = user.post("/api/v1/pods", &TestServer::order()).await;
        let Some(id) = ordered.json["id"].as_str().filter(|_| ordered.status == 200) else {
            return Ok(format!("an order refused: {}", ordered.json));
        };
        self.pods.insert(id.to_owned());
        let mut work: Work = Box::pin(async move { app.driver.step(&app).await });
        points.arm(self.draw.below(14));
        let stands_still = points.until_stopped(&mut work).await.is_none();
        let deleted = user.delete(&format!("/api/v1/pods/{id}")).await.status;
        // Before the delete is carried out, so that what follows is seen to follow.
        self.check().await?;
        // Judged as one who knows: nobody else has done anything but what its own rows say.
        points.go_on(false);
        if stands_still {
            work.await;
        }
        let when = if stands_still { "within" } else { "after" };
        Ok(format!("{id} is ordered, and deleted {when} its first pass: {deleted}"))
    }

    /// A pass of a server stands still at a drawn point, and everything else goes on; or one that
    /// stood still goes on.
    pub(super) async fn stand_still(&mut self) -> String {
        let nth = self.servers.pick(&mut self.draw);
        if self.servers.all[nth].held.is_some() {
            self.servers.go_on(nth).await;
            return format!("server {nth} goes on");
        }
        let left = self.draw.below(10);
        let one = &mut self.servers.all[nth];
        let app = one.app.clone();
        let mut work: Work = Box::pin(async move { app.driver.step(&app).await });
        one.points.arm(left);
        if one.points.until_stopped(&mut work).await.is_some() {
            return format!("server {nth} makes a pass");
        }
        one.held = Some(work);
        self.servers.stand_stills += 1;
        format!("server {nth} stands still in a pass")
    }
}
