//! A picture of sizes: one rectangle per package, its area what there is to fetch.
//!
//! A squarified treemap (Bruls, Huizing, van Wijk 2000): rectangles are laid along the shorter side
//! of what is left, as many to a row as keep them nearest to squares.

use maud::{Markup, html};

use super::clean;

/// What a rectangle stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What is written on it.
    pub name: String,
    /// What is said of it when it is pointed at.
    pub title: String,
    /// How it is coloured.
    pub class: &'static str,
    /// How large it is; nothing that is not above zero is drawn.
    pub weight: f64,
}

/// A rectangle's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
}

/// Lays weights, largest first, into a rectangle.
pub fn lay_out(weights: &[f64], mut room: Rectangle) -> Vec<Rectangle> {
    let total: f64 = weights.iter().sum();
    let mut placed = Vec::with_capacity(weights.len());
    if total <= 0.0 {
        return placed;
    }
    let scale = room.width * room.height / total;
    let mut rest = weights;
    while !rest.is_empty() {
        let side = room.width.min(room.height);
        let mut count = 1;
        while count < rest.len()
            && worst(rest, count + 1, scale, side) <= worst(rest, count, scale, side)
        {
            count += 1;
        }
        let (row, others) = rest.split_at(count);
        let area: f64 = row.iter().sum::<f64>() * scale;
        let depth = if side > 0.0 { area / side } else { 0.0 };
        let mut along = 0.0;
        for weight in row {
            let length = if depth > 0.0 {
                weight * scale / depth
            } else {
                0.0
            };
            placed.push(if room.width >= room.height {
                Rectangle {
                    x: room.x,
                    y: room.y + along,
                    width: depth,
                    height: length,
                }
            } else {
                Rectangle {
                    x: room.x + along,
                    y: room.y,
                    width: length,
                    height: depth,
                }
            });
            along += length;
        }
        if room.width >= room.height {
            room.x += depth;
            room.width = (room.width - depth).max(0.0);
        } else {
            room.y += depth;
            room.height = (room.height - depth).max(0.0);
        }
        rest = others;
    }
    placed
}

/// How far from a square the longest rectangle of a row is.
fn worst(weights: &[f64], count: usize, scale: f64, side: f64) -> f64 {
    let row = weights.get(..count).unwrap_or(weights);
    let sum: f64 = row.iter().sum::<f64>() * scale;
    let largest = row.first().copied().unwrap_or(0.0) * scale;
    let smallest = row.last().copied().unwrap_or(0.0) * scale;
    let square = side * side;
    (square * largest / (sum * sum)).max(sum * sum / (square * smallest))
}

/// The picture as SVG, for a page that has classes for its colours.
pub(super) fn svg(mut items: Vec<Item>) -> Markup {
    const WIDTH: f64 = 1000.0;
    const HEIGHT: f64 = 420.0;
    items.retain(|item| item.weight > 0.0);
    items.sort_by(|one, other| {
        (other.weight.total_cmp(&one.weight)).then_with(|| one.name.cmp(&other.name))
    });
    let weights: Vec<f64> = items.iter().map(|item| item.weight).collect();
    let room = Rectangle {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: HEIGHT,
    };
    let point = |number: f64| format!("{number:.2}");
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" {
            @for (item, at) in items.iter().zip(lay_out(&weights, room)) {
                g class=(item.class) data-name=(clean(&item.name)) {
                    rect x=(point(at.x)) y=(point(at.y)) width=(point(at.width))
                        height=(point(at.height)) {}
                    title { (clean(&item.title)) }
                    @if let Some(label) = label(&clean(&item.name), at) {
                        text x=(point(at.x + 3.0)) y=(point(at.y + 11.5)) { (label) }
                    }
                } "\n"
            }
        } "\n"
    }
}

/// As much of a name as there is room for; nothing where that is too little to tell it by.
fn label(name: &str, at: Rectangle) -> Option<String> {
    let length = name.chars().count();
    // A letter is about 6.5 wide at this size.
    let fits = |letters: &usize| 6.5 * f64::from(u32::try_from(*letters).unwrap_or(0)) <= at.width;
    let letters = (0..=length.max(4)).rev().find(fits);
    let letters = letters.filter(|&letters| letters >= 4 && at.height > 14.0)?;
    Some(match letters >= length {
        true => name.to_owned(),
        false => name.chars().take(letters - 1).chain(['…']).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn areas_are_as_the_weights_and_nothing_leaves_the_room(
            mut weights in proptest::collection::vec(1u32..100_000, 1..60),
        ) {
            weights.sort_unstable_by(|one, other| other.cmp(one));
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let room = Rectangle { x: 0.0, y: 0.0, width: 1000.0, height: 400.0 };
            let placed = lay_out(&weights, room);
            let total: f64 = weights.iter().sum();
            proptest::prop_assert_eq!(placed.len(), weights.len());
            for (weight, at) in weights.iter().zip(&placed) {
                let wanted = weight / total * 400_000.0;
                proptest::prop_assert!((at.width * at.height - wanted).abs() < 1.0);
                proptest::prop_assert!(at.x >= -0.01 && at.x + at.width <= 1000.01);
                proptest::prop_assert!(at.y >= -0.01 && at.y + at.height <= 400.01);
            }
        }
    }
}
