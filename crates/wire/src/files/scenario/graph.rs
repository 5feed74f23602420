//! The graph of calls: it has no circles, and no request in it becomes more calls than can be played.

use super::super::decoder::{Decoder, View};
use super::Context;
use std::ops::Range;

/// A route of a service, by position.
type At = (usize, usize);

/// A call from one route to another.
pub(super) struct Edge {
    from: At,
    to: At,
    times: f64,
    span: Range<usize>,
    path: String,
}

/// One request may become so many calls.
const MOST_CALLS: f64 = 10_000.0;

impl Edge {
    /// The call that `view` declares.
    pub(super) fn of(view: &View<'_>, from: At, to: At, times: f64) -> Edge {
        Edge { from, to, times, span: view.span.clone(), path: view.path.clone() }
    }
}

/// Where the search stands at a route.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

pub(super) fn check(decoder: &mut Decoder<'_>, context: &Context<'_>, edges: &[Edge]) {
    let mut search = Search::new(&context.names.route_counts(), edges);
    let mut circles = false;
    for start in 0..search.marks.len() {
        while let Some((edge, circle)) = search.circle_from(start) {
            circles = true;
            report_circle(decoder, context, edge, &circle);
        }
    }
    if circles {
        return;
    }
    for (edge, calls) in search.too_many() {
        let name = context.names.route_text(edge.from);
        let message = format!("with this, one request to {name} becomes {calls:.0} calls");
        let mend = format!("a scenario may have {MOST_CALLS} at most: lower `times` here or further on");
        decoder.report(&edge.span, &edge.path, message, mend);
    }
}

fn report_circle(decoder: &mut Decoder<'_>, context: &Context<'_>, edge: &Edge, circle: &[At]) {
    let mut names: Vec<String> = circle.iter().map(|at| context.names.route_text(*at)).collect();
    if names.len() > 8 {
        names.splice(4..names.len() - 4, ["…".to_owned()]);
    }
    names.push(context.names.route_text(edge.to));
    let message = format!("this call closes a circle: {}", names.join(" → "));
    let mend = "a request would never end: remove one of these calls, or call another route".to_owned();
    decoder.report(&edge.span, &edge.path, message, mend);
}

/// A search in depth without recursion: a file may be as deep as it is long.
struct Search<'e> {
    edges: &'e [Edge],
    /// Where the routes of each service begin among all routes.
    first: Vec<usize>,
    /// The edges that leave each route.
    out: Vec<Vec<usize>>,
    marks: Vec<Mark>,
    /// The routes on the way, each with the next of its edges.
    way: Vec<(usize, usize)>,
    /// Routes in the order in which they were done: callees first.
    done: Vec<usize>,
}

impl<'e> Search<'e> {
    fn new(routes: &[usize], edges: &'e [Edge]) -> Search<'e> {
        let mut first = Vec::new();
        let mut total = 0;
        for n in routes {
            first.push(total);
            total += n;
        }
        let mut search = Search {
            edges,
            first,
            out: vec![Vec::new(); total],
            marks: vec![Mark::New; total],
            way: Vec::new(),
            done: Vec::new(),
        };
        for (at, edge) in edges.iter().enumerate() {
            let from = search.node(edge.from);
            if let Some(out) = search.out.get_mut(from) {
                out.push(at);
            }
        }
        search
    }

    fn node(&self, (service, route): At) -> usize {
        self.first.get(service).copied().unwrap_or_default() + route
    }

    fn mark(&mut self, node: usize, mark: Mark) {
        if let Some(old) = self.marks.get_mut(node) {
            *old = mark;
        }
    }

    /// Goes on from `start` until an edge closes a circle: that edge, and the routes of the circle in order.
    fn circle_from(&mut self, start: usize) -> Option<(&'e Edge, Vec<At>)> {
        if self.marks.get(start) == Some(&Mark::New) {
            self.mark(start, Mark::Open);
            self.way.push((start, 0));
        }
        while let Some((node, next)) = self.way.last_mut() {
            let edge = self.out.get(*node).and_then(|out| out.get(*next)).and_then(|e| self.edges.get(*e));
            let Some(edge) = edge else {
                let node = *node;
                self.way.pop();
                self.mark(node, Mark::Done);
                self.done.push(node);
                continue;
            };
            *next += 1;
            let to = self.node(edge.to);
            match self.marks.get(to) {
                Some(Mark::New) => {
                    self.mark(to, Mark::Open);
                    self.way.push((to, 0));
                }
                Some(Mark::Open) => return Some((edge, self.circle(to))),
                _ => {}
            }
        }
        None
    }

    /// The routes on the way from `node` on, by the edges that were taken.
    fn circle(&self, node: usize) -> Vec<At> {
        let from = self.way.iter().position(|(n, _)| *n == node).unwrap_or(0);
        let taken = self.way.get(from..).unwrap_or_default();
        let edge = |(n, next): &(usize, usize)| {
            let edge = self.out.get(*n)?.get(next.checked_sub(1)?)?;
            self.edges.get(*edge).map(|e| e.from)
        };
        taken.iter().filter_map(edge).collect()
    }

    /// The edges with which a request becomes too many calls, and how many. Only the first such route of a chain is
    /// told.
    fn too_many(&self) -> Vec<(&'e Edge, f64)> {
        let mut calls = vec![0.0_f64; self.out.len()];
        let mut found = Vec::new();
        for node in &self.done {
            let mut sum = 0.0;
            let mut worst: Option<(&'e Edge, f64)> = None;
            for edge in self.out.get(*node).into_iter().flatten().filter_map(|e| self.edges.get(*e)) {
                let each = calls.get(self.node(edge.to)).copied().unwrap_or_default();
                let these = edge.times * (1.0 + each);
                sum += these;
                if worst.is_none_or(|(_, most)| these > most) {
                    worst = Some((edge, these));
                }
            }
            if let (true, Some((edge, _))) = (sum > MOST_CALLS, worst) {
                found.push((edge, sum));
                sum = 0.0;
            }
            if let Some(slot) = calls.get_mut(*node) {
                *slot = sum;
            }
        }
        found
    }
}
