"""Robin's projects and what Robin asked for: all of it made up."""

from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    """One piece of work. fault: what the first try breaks, if anything · mended: what `new` becomes then"""

    title: str
    prompt: str
    file: str
    old: str
    new: str
    reply: str
    fault: str = ""
    mended: str = ""


class Project(NamedTuple):
    """filler: a line of its code, `{i}` counts · mcp: server, tool, input and what it answers"""

    name: str
    about: str
    test: str
    passed: str
    notes: str
    filler: str
    mcp: tuple[str, str, dict[str, object], str]
    tasks: tuple[Task, ...]

    @property
    def folder(self) -> str:
        return f"/home/robin/{self.name}"


LADLE = Project(
    "ladle", "a recipe site", "npm test", "Tests  48 passed (48)", "docs/kitchen-notes.md",
    "export const step{i} = (pot: Pot): Pot => pot.stir({i});",
    ("pantry", "find_ingredient", {"name": "fennel"}, "fennel: 3 recipes, in season October to March"),
    (
        Task("Scale servings", "A recipe for four should scale to any number of servings. Halves should read as ½, not 0.5.",
             "src/scale.ts", "return amount * factor;", "return fraction(amount * factor);",
             "Amounts now scale, and halves, thirds and quarters are shown as ½, ⅓ and ¼.",
             "expected '1½' but got '1.5'", "return fraction(round(amount * factor, 2));"),
        Task("Oven units", "Show oven temperatures in both °C and °F.", "src/oven.ts", "return `${celsius} °C`;",
             "return `${celsius} °C / ${Math.round(celsius * 9 / 5 + 32)} °F`;", "Both units are shown, Fahrenheit rounded."),
        Task("Search by leftovers", "I have leeks and half a cabbage. Make the search take several ingredients and rank by overlap.",
             "src/search.ts", "return recipes.filter(r => r.has(words[0]));",
             "return recipes.sort((a, b) => overlap(b, words) - overlap(a, words));",
             "The search ranks by how many of your ingredients a recipe uses; ties go to the quicker one.",
             "expected 2 results, got 48: recipes without any match are listed",
             "return recipes.filter(r => overlap(r, words) > 0).sort((a, b) => overlap(b, words) - overlap(a, words));"),
        Task("Print view", "Add a print style: one page, no pictures, large type.", "src/print.css", "@media print {}",
             "@media print { img, nav { display: none } body { font-size: 14pt } }", "Printing gives one plain page now."),
        Task("Cooking timer", "Times in the text, like “simmer for 20 minutes”, should become timers one can tap.",
             "src/timer.ts", "const TIME = /(\\d+) minutes/;", "const TIME = /(\\d+)\\s*(min|minutes|hours?)/;",
             "Every time in a step is a button that starts a timer.", "“an hour” is not recognised",
             "const TIME = /(\\d+|an?)\\s*(min|minutes|hours?)/;"),
        Task("Allergens", "Mark recipes with nuts, gluten, milk and egg.", "src/allergens.ts", "export const ALLERGENS = [];",
             "export const ALLERGENS = ['nuts', 'gluten', 'milk', 'egg'];", "Four badges, from the ingredient list."),
        Task("Shopping list", "Merge the ingredients of a week's recipes into one shopping list.", "src/shopping.ts",
             "return lists.flat();", "return merge(lists.flat(), byNameAndUnit);",
             "The list adds up what belongs together: 200 g + 0.3 kg flour is 500 g.",
             "expected '500 g flour', got '200 g flour, 0.3 kg flour'", "return merge(lists.flat().map(toGrams), byName);"),
        Task("Slow images", "The front page loads slowly on the phone. Find out why and fix it.", "src/gallery.ts",
             "<img src={photo}>", "<img src={photo} loading=\"lazy\" width=\"320\">",
             "The page asked for every photo at full size. It now loads what is in view, at 320 px: 4.1 s became 0.9 s."),
        Task("Sourdough calendar", "Work out when to feed the starter if I want bread on Sunday at ten.", "src/sourdough.ts",
             "return [bake];", "return [bake - 16 * HOUR, bake - 12 * HOUR, bake - HOUR, bake];",
             "Feed on Saturday at 18:00, mix at 22:00, preheat at 9:00, bake at 10:00."),
        Task("Import from text", "Let me paste a recipe as plain text and split it into ingredients and steps.",
             "src/parse.ts", "return { ingredients: [], steps: [text] };", "return split(text, /^\\s*[-•\\d]/m);",
             "Pasted text is split at the first sentence that is no ingredient.", "a line '2 eggs' was taken for a step",
             "return split(text, /^\\s*([-•]|\\d+\\s+\\p{L})/mu);"),
        Task("Dark mode", "Dark mode please, following the system setting.", "src/theme.css", ":root { --paper: #fffdf7 }",
             ":root { --paper: light-dark(#fffdf7, #1d1a16) }", "It follows the system; contrast is at least 7:1 in both."),
        Task("Nutrition", "Estimate calories per serving from the pantry server's figures.", "src/nutrition.ts",
             "return 0;", "return sum(recipe.items.map(kcal)) / recipe.servings;",
             "Each recipe shows an estimate, marked with ≈.", "NaN for items without figures",
             "return sum(recipe.items.map(kcal).filter(Number.isFinite)) / recipe.servings;"),
    ),
)  # fmt: skip

CLOUDPEEK = Project(
    "cloudpeek", "a weather command line", "pytest -q", "37 passed in 1.42s", "docs/sky.md",
    "def layer_{i}(sky: Sky) -> float: return sky.humidity({i}) * 0.01",
    ("almanac", "forecast", {"place": "Oxbow Hollow", "days": 3}, "Tue 11° rain, Wed 13° clouds, Thu 9° clear"),
    (
        Task("Coloured table", "Show the week as a table, warm days in orange and cold ones in blue.", "cloudpeek/show.py",
             "print(day, degrees)", "print(day, paint(degrees, warmth(degrees)))", "The week is a coloured table; plain when piped."),
        Task("Cache answers", "Do not ask the server again within ten minutes.", "cloudpeek/cache.py", "return fetch(place)",
             "return cached(place, minutes=10) or fetch(place)", "Answers are kept for ten minutes in the user's cache folder.",
             "assert 2 == 1: the server was asked twice", "return cached(place, minutes=10) or keep(place, fetch(place))"),
        Task("Umbrella", "Add `cloudpeek umbrella`: yes or no, and why, in one line.", "cloudpeek/umbrella.py",
             "raise NotImplementedError", "return Answer(rain.max() > 0.4, rain.idxmax())",
             "`cloudpeek umbrella` answers “Yes: 70 % rain at 16:00.”"),
        Task("Time zones", "Sunrise is an hour off for places in another time zone.", "cloudpeek/sun.py",
             "return sunrise.astimezone()", "return sunrise.astimezone(place.zone)",
             "Sunrise is shown in the place's own time.", "KeyError: 'zone' for places saved before today",
             "return sunrise.astimezone(place.zone or UTC)"),
        Task("Sparkline", "A tiny sparkline of the next 24 hours would be lovely.", "cloudpeek/spark.py", 'BARS = "_"',
             'BARS = "▁▂▃▄▅▆▇█"', "There it is: ▂▂▃▅▆▇▇▆▅▃▂▂"),
        Task("Offline", "Without network it prints a traceback. It should say what to do.", "cloudpeek/fetch.py",
             "return get(url)", "try:\n        return get(url)\n    except OSError as error:\n        raise Offline(url) from error",
             "It now says “No connection; this is from 09:40” and shows the last answer."),
        Task("Wind chill", "Show the felt temperature, too.", "cloudpeek/felt.py", "return degrees",
             "return 13.12 + 0.6215 * degrees - 11.37 * wind ** 0.16 + 0.3965 * degrees * wind ** 0.16",
             "Felt temperature by the usual formula, only where it is defined.", "felt(20, 0) is 33.2",
             "if degrees > 10 or wind < 4.8:\n        return degrees\n    return chill(degrees, wind)"),
        Task("Favourites", "Let me save places: `cloudpeek save home Oxbow Hollow`.", "cloudpeek/places.py", "PLACES = {}",
             "PLACES = Places(config_folder() / 'places.toml')", "Saved places live in places.toml and complete on Tab."),
        Task("Faster start", "It takes 0.6 s to start. Where does that go?", "cloudpeek/__init__.py", "import pandas as pd",
             "from cloudpeek.series import Series", "0.45 s were pandas, for one moving average. 0.09 s now."),
        Task("Storm warning", "Warn in red when wind goes over 75 km/h in the next two days.", "cloudpeek/warn.py",
             "return []", "return [hour for hour in hours if hour.wind > 75]", "Warnings come first, in red, with the hour.",
             "assert [] == [Hour(14)]: wind is in m/s here", "return [hour for hour in hours if hour.wind * 3.6 > 75]"),
        Task("JSON output", "Add --json for scripts.", "cloudpeek/cli.py", "show(week)",
             "print(week.json()) if given.json else show(week)", "`--json` prints the week, one object."),
        Task("Man page", "Write a man page from the help texts.", "cloudpeek/man.py", "pass",
             "return roff(parser)", "`man cloudpeek` works after installing.", "roff: unbalanced .RS in EXAMPLES",
             "return roff(parser, examples='flat')"),
    ),
)  # fmt: skip

ROOKERY = Project(
    "rookery", "a chess engine", "cargo test", "test result: ok. 112 passed; 0 failed; finished in 3.81s", "NOTES.md",
    "const SQUARE_{i}: Bitboard = Bitboard(0x{i:x});",
    ("openings", "lookup", {"moves": "e4 c5 Nf3"}, "Sicilian, open: 2...d6 and 2...Nc6 are the main replies"),
    (
        Task("Castling rights", "Castling is allowed after the rook was captured. It must not be.", "src/castle.rs",
             "self.king_home()", "self.king_home() && self.rook_home()", "Rights are dropped when the rook leaves or is taken.",
             "perft(4) = 197742, expected 197281", "self.king_home() && self.rook_home() && !self.crosses_check()"),
        Task("Transposition table", "Add a transposition table, 64 MB by default.", "src/table.rs", "pub struct Table;",
             "pub struct Table(Vec<Slot>);", "Depth 9 takes 1.9 s instead of 6.4 s; the table is 64 MB.",
             "index out of bounds: the len is 4194304 but the index is 4194304", "pub struct Table { slots: Vec<Slot>, mask: usize }"),
        Task("En passant", "En passant leaves the captured pawn on the board.", "src/moves.rs", "self.clear(to);",
             "self.clear(if mv.en_passant { mv.pawn() } else { to });", "The pawn that moved past is taken off. Perft 5 agrees."),
        Task("Quiescence", "It blunders at the horizon. Add a quiescence search for captures.", "src/search.rs",
             "return self.evaluate();", "return self.quiet(alpha, beta);", "Captures are searched to the end: +83 Elo in self-play.",
             "stack overflow in quiet()", "return self.quiet(alpha, beta, QUIET_DEPTH_MAX);"),
        Task("UCI options", "Make hash size and threads UCI options.", "src/uci.rs", '"uci" => println!("uciok"),',
             '"uci" => { options(); println!("uciok") }', "`setoption name Hash value 256` works."),
        Task("Endgame table", "King and rook against king should be a book win, not 50 moves of wandering.", "src/endgame.rs",
             "0", "edge_distance(loser) * 10 - king_distance(self) * 4", "It mates in 16 from every start I tried."),
        Task("Move ordering", "Order moves: hash move, captures by victim, killers, the rest.", "src/order.rs",
             "moves.sort();", "moves.sort_by_key(|m| -self.rank(m));", "38 % fewer nodes at depth 8.",
             "attempt to negate with overflow", "moves.sort_by_key(|m| Reverse(self.rank(m)));"),
        Task("Opening book", "Play a few openings from a small book so that games differ.", "src/book.rs", "None",
             "BOOK.get(&self.key()).and_then(|lines| lines.choose(&mut self.rng))", "Forty lines, chosen at random, six moves deep."),
        Task("Time control", "It loses on time in blitz. Plan the clock better.", "src/clock.rs", "self.left / 20",
             "self.left / 30 + self.increment * 3 / 4", "No loss on time in 200 games at 3+2.",
             "thinks 0 ms with 0 increment and 20 ms left", "(self.left / 30 + self.increment * 3 / 4).max(MIN_THINK)"),
        Task("Threefold repetition", "Recognise threefold repetition.", "src/draw.rs", "false",
             "self.keys.iter().filter(|k| **k == self.key).count() >= 3", "Repetitions since the last irreversible move count as draws."),
        Task("Evaluation report", "Print why a position is good: material, king, pawns, mobility.", "src/explain.rs",
             "todo!()", "format!(\"material {:+} king {:+} pawns {:+}\", m, k, p)", "`explain` prints a table, from White's side."),
        Task("Tuning", "Tune piece values on the quiet positions in data/.", "src/tune.rs", "const KNIGHT: i32 = 300;",
             "const KNIGHT: i32 = 318;", "Error went from 0.0731 to 0.0702; the knight gained most.",
             "loss is NaN after 40 steps: the rate is too high", "const KNIGHT: i32 = 312;"),
    ),
)  # fmt: skip

PROJECTS = (LADLE, CLOUDPEEK, ROOKERY)

AFTERTHOUGHTS: tuple[tuple[str, str], ...] = (
    (
        "Why did you choose that over the simpler way?",
        "The simpler way fails for the empty case, which the tests now cover.",
    ),
    ("Add a line about it to the notes.", "Added under “What changed”."),
    (
        "Is there anything else in that file you would tidy?",
        "Two names: `tmp` hides what it holds, and `do_it` should be `apply`.",
    ),
    ("Good. Commit it, please.", "Committed with a one-line message."),
    ("Run everything once more.", "All green."),
    ("Could this be slow for large inputs?", "It is linear; a thousand entries take under a millisecond."),
)
