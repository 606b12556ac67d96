"""A mixture item response model of opinions: how far apart two answers are, how well acts of each kind tell, how sure that makes us.

Of a couple of answers, the distance d = t * delta + c * m + sigma * z, where t is 1 or -1 (one of the two is better; 1 with probability
1 / (1 + exp(-2 s m))), m what a judge of words says (0 without one) and z is normal: couples are easy or hard. An opinion is for the first
answer with probability

    epsilon / 2 + (1 - epsilon) / (1 + exp(-(kappa * ability * d + b * shown + g * lean)))

where kappa belongs to its way, ability to the person (1 until shared opinions tell; near 0 who answers at random, below 0 who says the
opposite), shown to the place on the screen, and lean to how lenient strangers are with thumbs. With sigma near 0 this is Dawid and Skene's
model, without the mixture GLAD's (Whitehill et al. 2009); of two people with one ability each it is Bradley and Terry's.

The sums over t and z run over a grid of POINTS * 2 places. The parameters are the most likely ones under priors (`Prior`), by L-BFGS and
then Newton's steps, whose error is far below the grids on which they are used: machines that sum in another order find the same.
Thumbs about one answer only are opinions of an item of its own: spread as one answer's worth is, less clear by half a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tasks.common.arrays import Floats, Mask, Rows
from tasks.pair.comparisons import SAME, WAYS, Opinions

GRID = 1e-3  # of parameters
GRID_OF_ABILITY = 0.05  # coarser: there are many people
DIGITS = 4  # of confidences
POINTS, REACH = 15, 2.8  # of z
Z = np.linspace(-REACH, REACH, POINTS)
LOG_Z = -Z * Z / 2 - np.log(np.exp(-Z * Z / 2).sum())
STEP = Z[1] - Z[0]
CLEARER = 1.3  # one person's two thumbs, beside two strangers': how strict the person is cancels out
ALONE = 0.8  # a thumb about one answer, beside two strangers' thumbs about two
ABILITIES = np.array([-1.5, -1.0, -0.5, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5])
SPREADS = (0.4, 0.2, 0.1, 0.05)  # of people around 1
STRANGE = (0.05, 0.01, 0.1, 0.2)  # share of those of any ability, as likely as each other
FEWEST = 8  # opinions on shared couples that tell a person's ability
ROUNDS, SWEEPS = 2, 2  # of abilities and parameters in turn
COMMON = ("delta", "sigma", "epsilon", "b", "g", "c", "s")  # parameters that belong to no way: log, log, logit, plain, plain, log, log
CENTRE = np.array([np.log(1.15), np.log(0.8), np.log(0.05 / 0.95), 0.0, 0.0, np.log(0.5), np.log(0.5)])
WIDTH = np.array([0.4, 0.5, 0.7, 0.5, 0.5, 0.7, 0.7])
WIDTH_OF_WAY = 0.3
WIDTH_OF_SIGMA, SEVERAL, ENOUGH = 1.0, 3, 100  # where so many couples have so many opinions: these tell hard couples from bad votes
NODES = 5  # of the words' margins where they are not known
SHIFT, STEPS, FARTHEST, SETTLED = 1e-5, 12, 0.5, 1e-10  # of the steps after L-BFGS
CHUNK = 20_000  # couples worked on at once


@dataclass(frozen=True)
class Model:
    """Values of all parameters, as the formulas above use them."""

    common: Floats  # COMMON, on the scales on which they are estimated
    ways: Floats  # log kappa of each of WAYS
    words: bool  # whether the judge of words counts
    ability: Floats = field(default_factory=lambda: np.ones(1))  # of each person; whoever is not there has 1

    def places(self, words: Floats) -> tuple[Floats, Floats]:
        """For couples with these words' margins: d at each place of the grid, and the log probability of the place."""
        delta, sigma, _, _, _, c, s = self.values()
        t = np.repeat([-1.0, 1.0], POINTS)
        d = t * delta + sigma * np.tile(Z, 2) + (c * words)[:, None]
        return d, np.tile(LOG_Z, 2) - np.logaddexp(0, -2 * s * words[:, None] * t)

    def values(self) -> tuple[float, ...]:
        """COMMON as they stand in the formulas."""
        delta, sigma, c, s = np.exp(self.common[[0, 1, 5, 6]])
        return delta, sigma, 1 / (1 + np.exp(-self.common[2])), self.common[3], self.common[4], c * self.words, s * self.words

    def able(self, opinions: Opinions) -> Floats:
        """Kappa * ability of each opinion."""
        known = (opinions.person >= 0) & (opinions.person < len(self.ability))
        return np.exp(self.ways[opinions.way]) * np.where(known, self.ability[np.where(known, opinions.person, 0)], 1.0)


@dataclass(frozen=True)
class Data:
    """Opinions of items numbered from 0, sorted by item."""

    opinions: Opinions
    item: Rows
    words: Floats  # of each item
    base: Floats  # of each opinion: known log odds
    scale: Floats  # of each opinion: of d; ALONE where it is about one answer

    @classmethod
    def of(cls, opinions: Opinions, words: Floats, alone: Opinions | None = None) -> Data:
        """The opinions of couples, with the words' margin of each couple, and thumbs about single answers."""
        known, item = np.unique(opinions.couple, return_inverse=True)
        data = cls(opinions, item.astype(np.int64), words[known], np.zeros(len(item)), np.ones(len(item)))
        if alone is None or not len(alone):
            return data
        up = np.clip((alone.side > 0).mean(), 0.02, 0.98)
        answers, number = np.unique(alone.couple, return_inverse=True)
        return cls(
            Opinions(*(np.concatenate([getattr(part, name) for part in (opinions, alone)]) for name in Opinions.__dataclass_fields__)),
            np.concatenate([data.item, number + len(known)]),
            np.concatenate([data.words, np.zeros(len(answers))]),
            np.concatenate([data.base, np.full(len(alone), np.log(up / (1 - up)))]),
            np.concatenate([data.scale, np.full(len(alone), ALONE)]),
        )


def prior_ways(assumed: Sequence[float]) -> Floats:
    """Log kappa of each of WAYS, under which an opinion is right as often as `assumed` says of its recipe."""
    model = Model(CENTRE, np.zeros(len(WAYS)), words=False)
    found = np.zeros(len(WAYS))
    for way, right in enumerate(assumed):
        low, high = -6.0, 6.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if alone_right(model, middle) < right else (low, middle)
        found[way] = low
    for recipe, way in SAME.items():
        found[way] = found[recipe] + np.log(CLEARER)
    return found


def alone_right(model: Model, log_kappa: float) -> float:
    """How often a single opinion of such a kappa is right, all couples taken together."""
    d, weight = model.places(np.zeros(1))
    right = ahead(d[0], model.values()[1])
    epsilon = model.values()[2]
    says = epsilon / 2 + (1 - epsilon) / (1 + np.exp(-np.exp(log_kappa) * d[0]))
    mass = np.exp(weight[0])
    return float((mass * (says * right + (1 - says) * (1 - right))).sum() / mass.sum())


def ahead(d: Floats, sigma: float) -> Floats:
    """The share of a place of the grid, which reaches half a step to either side, in which d is above 0."""
    return np.asarray(np.clip(0.5 + d / max(sigma * STEP, 1e-3), 0.0, 1.0))


def told(model: Model, data: Data) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each opinion at each place of its item: d, the log odds' logistic for the side it took, its probability; and kappa * ability."""
    d, _ = model.places(data.words)
    d = d[data.item]
    _, _, epsilon, b, g, _, _ = model.values()
    power = model.able(data.opinions) * data.scale
    plain = b * data.opinions.shown + g * data.opinions.lean + data.base
    eta = data.opinions.side[:, None] * (power[:, None] * d + plain[:, None])
    logistic = 1 / (1 + np.exp(-eta))
    return d, logistic, epsilon / 2 + (1 - epsilon) * logistic, power


def posterior(model: Model, data: Data) -> tuple[Floats, Floats]:
    """Of each item the probability of each place, and the log likelihood of its opinions."""
    return weighed(model, data, told(model, data)[2])


def weighed(model: Model, data: Data, says: Floats) -> tuple[Floats, Floats]:
    """The same, `says` being the probability of each opinion at each place."""
    _, weight = model.places(data.words)
    score = weight + by_item(data, data.opinions.weight[:, None] * np.log(says), len(weight))
    most = score.max(axis=1, keepdims=True)
    mass = np.exp(score - most)
    total = mass.sum(axis=1, keepdims=True)
    return mass / total, (most + np.log(total))[:, 0]


def by_item(data: Data, rows: Floats, items: int) -> Floats:
    """Sums of rows by item; items are sorted, each has an opinion."""
    return np.asarray(np.add.reduceat(rows, np.searchsorted(data.item, np.arange(items)), axis=0))


def loss(model: Model, data: Data, centre: Floats, width: Floats) -> tuple[float, Floats]:
    """Minus the log posterior of the parameters, and its gradient, with respect to COMMON then WAYS."""
    opinions = data.opinions
    d, logistic, says, power = told(model, data)
    place, likelihood = weighed(model, data, says)
    delta, sigma, epsilon, _, _, c, s = model.values()
    held = place[data.item] * opinions.weight[:, None] / says
    slope = held * (1 - epsilon) * logistic * (1 - logistic) * opinions.side[:, None]  # with respect to the log odds of an opinion
    moved = slope * power[:, None]  # with respect to d
    t, z = np.repeat([-1.0, 1.0], POINTS), np.tile(Z, 2)
    plain = slope.sum(axis=1)
    words = data.words[:, None]
    leaning = place * 2 * t * words / (1 + np.exp(2 * s * words * t))
    common = np.array([
        delta * float((moved @ t).sum()),
        sigma * float((moved @ z).sum()),
        epsilon * (1 - epsilon) * float((held * (0.5 - logistic)).sum()),
        float(plain @ opinions.shown),
        float(plain @ opinions.lean),
        c * float(moved.sum(axis=1) @ data.words[data.item]),
        s * float(leaning.sum()),
    ])  # fmt: skip
    ways = np.bincount(opinions.way, (moved * d).sum(axis=1), len(WAYS))
    values = np.concatenate([model.common, model.ways])
    off = (values - centre) / width
    return float((off * off).sum() / 2 - likelihood.sum()), off / width - np.concatenate([common, ways])


def fit(data: Data, ways: Floats, *, words: bool, people: int) -> Model:
    """The most likely parameters, on their grid; `ways` are the priors' log kappa."""
    centre = np.concatenate([CENTRE, ways])
    width = np.concatenate([WIDTH, np.full(len(WAYS), WIDTH_OF_WAY)])
    if np.count_nonzero(np.bincount(data.item) >= SEVERAL) >= ENOUGH:
        width[COMMON.index("sigma")] = WIDTH_OF_SIGMA
    free = np.flatnonzero(used(data, words))
    model = Model(CENTRE, ways, words, np.ones(people))
    values = centre.copy()
    for _ in range(ROUNDS if telling(data, people).any() else 1):

        def of(some: Floats, model: Model = model) -> tuple[float, Floats]:
            whole = centre.copy()
            whole[free] = some
            value, slope = loss(parted(model, whole), data, centre, width)
            return value, slope[free]

        values[free] = minimum(of, values[free])
        model = parted(model, np.round(values / GRID) * GRID)
        for _ in range(SWEEPS):
            model = replace(model, ability=abilities(model, data, people))
    return model


def parted(model: Model, values: Floats) -> Model:
    """The model with these values."""
    return replace(model, common=values[: len(COMMON)], ways=values[len(COMMON) :])


def used(data: Data, words: bool) -> Mask:
    """Which parameters the data can say anything about; the others stay at their priors."""
    opinions = data.opinions
    common = [True, True, True, bool(opinions.shown.any()), bool(opinions.lean.any()), words, words]
    return np.concatenate([common, np.bincount(opinions.way, minlength=len(WAYS)) > 0])


def minimum(of: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where the function is least: L-BFGS, then steps by one Hessian (differences of the gradient) until they are nothing.

    L-BFGS alone stops somewhere near the minimum, and where depends on the last bits; the steps end at one place within about 1e-10.
    """
    from scipy.optimize import minimize

    found = np.asarray(minimize(of, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "ftol": 1e-9, "gtol": 1e-3}).x)
    slope = of(found)[1]
    hessian = np.array([(of(found + SHIFT * one)[1] - slope) / SHIFT for one in np.eye(len(found))])
    hessian = (hessian + hessian.T) / 2
    for _ in range(STEPS):
        step = np.linalg.solve(hessian, slope)
        if not np.isfinite(step).all() or np.abs(step).max() > FARTHEST:
            break
        found = found - step
        if np.abs(step).max() < SETTLED:
            break
        slope = of(found)[1]
    return found


def telling(data: Data, people: int) -> Mask:
    """Of each person whether their opinions on shared couples are enough to tell how able they are."""
    opinions = data.opinions
    shared = (np.bincount(data.item) > 1)[data.item] & (opinions.person >= 0)
    return np.bincount(opinions.person[shared], minlength=people) >= FEWEST


def abilities(model: Model, data: Data, people: int) -> Floats:
    """Of each person the mean ability, given what the others say of the same couples; 1 where too little is shared."""
    found = np.ones(people)
    enough = telling(data, people)
    if not enough.any():
        return found
    number = np.cumsum(enough) - 1
    several = np.bincount(data.item) > 1
    rows = np.flatnonzero(several[data.item] & (data.opinions.person >= 0))
    rows = rows[enough[data.opinions.person[rows]]]
    place, _ = posterior(model, data)
    plain = replace(model, ability=np.ones(1))
    likely = np.zeros((int(enough.sum()), len(ABILITIES)))
    who = number[data.opinions.person[rows]]
    part = Data(data.opinions.take(rows), data.item[rows], data.words, data.base[rows], data.scale[rows])
    own = np.log(told(model, part)[2])
    for column, ability in enumerate(ABILITIES.tolist()):
        says = np.log(told(replace(plain, ways=model.ways), scaled(part, ability))[2])
        rest = np.log(place[part.item]) - own  # what the others say, up to a constant of the opinion
        rest -= rest.max(axis=1, keepdims=True)
        mass = np.exp(rest)
        heard = np.log((mass * np.exp(says)).sum(axis=1) / mass.sum(axis=1))
        likely[:, column] = np.bincount(who, heard, len(likely))
    score = likely + np.log(spread_of(likely))
    score -= score.max(axis=1, keepdims=True)
    mass = np.exp(score)
    found[np.flatnonzero(enough)] = np.round((mass @ ABILITIES) / mass.sum(axis=1) / GRID_OF_ABILITY) * GRID_OF_ABILITY
    return found


def spread_of(likely: Floats) -> Floats:
    """The probability of each of ABILITIES: that under which these people are likeliest, by empirical Bayes over SPREADS and STRANGE."""
    priors = [(1 - strange) * normal(ABILITIES, spread) + strange / len(ABILITIES) for spread in SPREADS for strange in STRANGE]
    mass = np.exp(likely - likely.max(axis=1, keepdims=True))
    return max(priors, key=lambda prior: round(float(np.log(mass @ prior).sum()), DIGITS))


def normal(values: Floats, spread: float) -> Floats:
    """Weights of a normal distribution around 1, with sum 1."""
    mass = np.exp(-(((values - 1) / spread) ** 2) / 2)
    return np.asarray(mass / mass.sum())


def scaled(data: Data, by: float) -> Data:
    """The same with d counted so many times."""
    return replace(data, scale=data.scale * by)


def sure(model: Model, opinions: Opinions, words: Floats) -> Floats:
    """Of each item of the opinions (sorted by it), in the order of its number, the probability that its lower answer is the better one.

    Of items whose words' margin is NaN the judge says nothing: they are taken as of any margin, as margins are spread.
    """
    _, start = np.unique(opinions.item, return_index=True)
    ends = np.append(start, len(opinions))
    found = np.zeros(len(start))
    for low in range(0, len(start), CHUNK):
        high = min(low + CHUNK, len(start))
        part = opinions.take(np.arange(ends[low], ends[high]))
        number = np.repeat(np.arange(high - low), np.diff(ends[low : high + 1]))
        data = Data(part, number, words[part.couple[ends[low:high] - ends[low]]], np.zeros(len(part)), np.ones(len(part)))
        found[low:high] = averaged(model, data)
    return np.round(found, DIGITS)


def averaged(model: Model, data: Data) -> Floats:
    """The probability for each item."""
    unknown = np.isnan(data.words)
    if not unknown.any() or not model.words:
        return lower(model, replace(data, words=np.where(unknown, 0.0, data.words)))[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    total, right = np.zeros(len(data.words)), np.zeros(len(data.words))
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        first, likelihood = lower(model, replace(data, words=np.where(unknown, node, data.words)))
        mass = weight * np.exp(likelihood)
        total, right = total + mass, right + mass * first
    return np.asarray(right / total)


def lower(model: Model, data: Data) -> tuple[Floats, Floats]:
    """Of each item the probability that d is above 0, and the log likelihood of its opinions."""
    place, likelihood = posterior(model, data)
    d, _ = model.places(data.words)
    return (place * ahead(d, model.values()[1])).sum(axis=1), likelihood
