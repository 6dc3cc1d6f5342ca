/**
 * Short stories out of a seed and a word: what the offline model says.
 *
 * A story is chosen, not computed: a place, somebody who lives there, the word, one strange event and
 * its end. The same seed and word give the same story, on any machine and with any version of Effect.
 *
 * @since 0.1.0
 */

/**
 * Tells a story.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: { readonly seed: number; readonly topic: string }): string => {
  const { one } = makeDice(options.seed)
  const [name, gender] = one(people)
  const scene: Scene = {
    name,
    ...pronouns[gender],
    role: one(roles),
    place: one(places),
    companion: one(companions),
    season: one(seasons),
    topic: options.topic
  }
  const [word, echo] = one(words)
  const [trouble, attempt, end] = one(events)
  return [
    `${one(openings)(scene)} ${one(companies)(scene)} ${word(scene)}`,
    `${trouble(scene)} ${attempt(scene)}`,
    `${end(scene)} ${one(asides)(scene)} ${echo(scene)}`
  ].join("\n\n")
}

/**
 * The word of a prompt that a story is to mention: the longest one that is not part of every other
 * request. Letters and digits only.
 *
 * @category getters
 * @since 0.1.0
 */
export const topicOf = (prompt: string): string => {
  const found = prompt.slice(0, 4000).match(/[\p{L}\p{N}]+/gu) ?? []
  let longest = ""
  for (const word of found) {
    if (!common.has(word.toLowerCase()) && word.length > longest.length) longest = word
  }
  // Cut by code points: a text without spaces is one long word.
  return Array.from(longest || found.at(-1) || "once")
    .slice(0, 24)
    .join("")
}

/**
 * Cuts a text into tokens: a word each, with the space before it. Joined, they are the text.
 *
 * @category getters
 * @since 0.1.0
 */
export const tokens = (text: string): ReadonlyArray<string> => text.match(/\s*\S+/g) ?? []

/**
 * A source of chance that is the same for the same seed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dice {
  /** The next number, from 0 up to but not including 1. */
  readonly next: () => number
  readonly one: <A>(from: ReadonlyArray<A>) => A
}

/**
 * Makes one of any number. mulberry32, begun with a hash of the seed's digits, so that neighbours tell
 * different stories from the first choice on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDice = (seed: number): Dice => {
  let state = 0x811c9dc5
  for (const digit of String(seed)) state = Math.imul(state ^ digit.charCodeAt(0), 0x01000193)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, one: (from) => from[Math.floor(next() * from.length)]! }
}

interface Scene {
  readonly name: string
  readonly she: string
  readonly She: string
  /** Her: of hers. */
  readonly her: string
  /** Her: as in “with her”. */
  readonly them: string
  readonly role: string
  readonly place: string
  readonly companion: string
  readonly season: string
  readonly topic: string
}

type Line = (scene: Scene) => string

const pronouns = {
  f: { she: "she", She: "She", her: "her", them: "her" },
  m: { she: "he", She: "He", her: "his", them: "him" }
}

const people: ReadonlyArray<readonly [string, "f" | "m"]> = [
  ["Ines", "f"],
  ["Tomas", "m"],
  ["Wren", "f"],
  ["Casimir", "m"],
  ["Odile", "f"],
  ["Jonah", "m"],
  ["Mirela", "f"],
  ["Anselm", "m"],
  ["Zadie", "f"],
  ["Emil", "m"],
  ["Saoirse", "f"],
  ["Rafael", "m"],
  ["Yuki", "f"],
  ["Bartholomew", "m"]
]

const roles = [
  "a clockmaker",
  "a baker of dark bread",
  "a keeper of bees",
  "a ferry pilot",
  "a mender of kites",
  "a lamplighter",
  "a tuner of pianos",
  "a maker of maps",
  "a librarian without a library",
  "a retired sea captain",
  "an apprentice astronomer",
  "an honest weigher of tea"
]

const places = [
  "a village at the mouth of a slow river",
  "a town on the shoulder of a mountain, where the clouds came down each evening to sleep in the streets",
  "a fishing town where every path led to the sea in the end",
  "a city of bridges, where people greeted the canals by name",
  "a valley that the railway had forgotten",
  "a harbour at the edge of the maps",
  "a forest town built around one enormous oak",
  "a quarter of lamplit stairs, where no two windows were the same colour",
  "a hamlet of nine houses on the salt marsh",
  "a market town that smelled of rain and cinnamon"
]

const seasons = ["spring", "summer", "autumn", "winter"]

const companions = [
  "a one-eyed cat",
  "a tame crow",
  "an old grey donkey",
  "a fox with excellent manners",
  "a tortoise called Tuesday",
  "a goose of strong opinions",
  "a small brown dog",
  "an owl who disliked the dark"
]

const openings: ReadonlyArray<Line> = [
  (s) => `In ${s.place}, there lived ${s.role} named ${s.name}.`,
  (s) => `Nobody could say when ${s.name} had come to ${s.place}, only that ${s.she} was ${s.role}, and a good one.`,
  (s) => `${s.name} was ${s.role} in ${s.place}, and had never once wished to be anything else.`,
  (s) => `There was once, in ${s.place}, ${s.role} by the name of ${s.name}.`
]

const companies: ReadonlyArray<Line> = [
  (s) =>
    `${s.She} shared ${s.her} rooms with ${s.companion}, and the two of them disagreed about nothing but the weather.`,
  (s) => `With ${s.them} lived ${s.companion}, and in all their years together they had not missed a sunset.`,
  (s) => `For company ${s.she} had ${s.companion}. It spoke little and understood a great deal.`,
  (s) => `Wherever ${s.she} went, ${s.companion} went too, a few steps behind, like a thought not yet finished.`
]

/** The prompt's word, and what becomes of it at the end. */
const words: ReadonlyArray<readonly [Line, Line]> = [
  [
    (s) =>
      `On ${s.her} wall stood a single word in blue chalk, “${s.topic}”, and nobody remembered who had written it.`,
    () => `The next morning somebody had added a second word beneath the blue chalk, and it was “yes”.`
  ],
  [
    (s) => `The first page of ${s.her} diary held one word, “${s.topic}”, and the others held nothing at all.`,
    (s) => `That night ${s.she} turned the page at last, and wrote until the lamp went out.`
  ],
  [
    (s) => `When people asked what ${s.she} was waiting for, ${s.she} always gave the same answer: “${s.topic}.”`,
    (s) => `And when people asked again what ${s.she} was waiting for, ${s.she} laughed, and said that it had come.`
  ],
  [
    (s) =>
      `There was a word that ${s.she} liked to say over ${s.her} work, “${s.topic}”, as if it were the name of a friend.`,
    (s) => `${s.She} still says the word over ${s.her} work, and sometimes, very softly, something answers.`
  ],
  [
    (s) => `In ${s.her} pocket ${s.she} kept a note from ${s.her} grandmother with one word on it: “${s.topic}.”`,
    (s) =>
      `${s.She} took out the note to look at it again, and saw that on the back there had always been another word: “Good.”`
  ]
]

const events: ReadonlyArray<readonly [Line, Line, Line]> = [
  [
    (s) =>
      `One ${s.season} morning the great clock in the square stopped at four minutes past five, and with it, one by one, everything else: the kettles, the gossip, the wind in the washing.`,
    (s) =>
      `${s.name} climbed the tower with a lantern and a pocketful of tools. Between the two largest wheels sat a sparrow, which had built its nest in the one quiet place that it could find.`,
    (s) =>
      `${s.She} did not move the nest. ${s.She} sat down beside it and called the hours aloud, day and night, until the young birds flew; and then the clock began again by itself, a little slow, as if it had learned patience.`
  ],
  [
    (s) =>
      `One ${s.season} evening a letter came that was addressed to nobody at all. The postman tried every door, and at every door they held it to the light, and sighed, and gave it back.`,
    (s) =>
      `${s.name} opened it over steam, as gently as one wakes a child. Inside was a drawing of the place they all lived in, exact in everything but one: it showed a small bridge where there had never been a bridge.`,
    (s) =>
      `So ${s.she} built it, plank by plank, over a ditch that nobody had thought worth crossing. On the day it was finished a stranger came over it, tired and smiling, and asked whether there was any post.`
  ],
  [
    (s) =>
      `One ${s.season} night the moon did not rise. They blamed the clouds, and then the council, and then each other, and went to bed uneasy.`,
    (s) =>
      `${s.name} took a rowing boat and a long net, and went to look where lost things usually are: in the water, just below one's own reflection.`,
    (s) =>
      `There it lay, cold and bright, tangled in the weeds and rather embarrassed. ${s.She} asked no questions. ${s.She} dried it with ${s.her} coat and held it up as high as ${s.she} could, and the sky, after a moment, took it back.`
  ],
  [
    (s) =>
      `That ${s.season} a bell began to ring under the water, once at dawn and once at dusk, so gently that for a week they all believed they had dreamt it.`,
    (s) =>
      `${s.name} waded out and listened with one ear below the surface. It was not a warning, ${s.she} decided, nor a prayer. It was a question.`,
    (s) =>
      `${s.She} had no bell to answer with, so ${s.she} used what there was: a copper pan, a spoon and a steady arm. All along the shore others joined in with pots and kettles and cups, and the bell rang on till morning, delighted.`
  ],
  [
    (s) =>
      `It was the ${s.season} when the wind lost its voice. Flags hung, mills stood still, and the washing took three days to dry.`,
    (s) =>
      `${s.name} followed the silence uphill to where it was deepest, and found the wind asleep in an empty barn, curled around itself like a great invisible dog.`,
    (s) =>
      `${s.She} did not shout. ${s.She} hummed the only tune ${s.she} knew all the way to the end, a song about rain and ordinary bread, and somewhere in the second verse a straw stirred, and then a door, and then the whole wide afternoon.`
  ],
  [
    (s) =>
      `One ${s.season} day a door appeared in the side of the hill: green, with a brass handle polished by many hands. It was locked, and there was a long and serious debate about keys.`,
    (s) =>
      `${s.name} waited until the debate had gone home to supper. Then ${s.she} did what nobody had tried, and knocked.`,
    (s) =>
      `“At last,” said a voice, and the door opened on a room full of everything the neighbours had ever put off until tomorrow: unwritten letters, unbaked cakes, half of a boat. ${s.She} carried them out one at a time, and nobody was bored for a year.`
  ],
  [
    (s) =>
      `That ${s.season} ${s.she} bought an old map at the market, and found that it drew itself anew each night. By morning a street had moved, or a well, or a whole family of hills.`,
    (s) =>
      `At first ${s.name} corrected it. Then ${s.she} noticed that the map was not wrong but early, and that a new path now ran from ${s.her} own door to a place marked only with a small, careful star.`,
    (s) =>
      `${s.She} packed bread and a lantern, and followed it. Where the star should have been there was a bench with room for two, and somebody already sitting there, holding the other half of the map.`
  ],
  [
    (s) =>
      `The orchard had borne nothing for seven years when, one ${s.season} morning, a single apple hung from the oldest tree. Each of them had a reason why it ought to be theirs.`,
    (s) =>
      `They asked ${s.name} to judge, since ${s.she} had never asked for anything. ${s.She} listened to every reason, which took until dark, and then cut the apple across, so that the seeds lay in a star.`,
    (s) =>
      `“Five seeds,” ${s.she} said, “and five reasons that were good ones.” They planted them in a ring. It was a long wait, but nobody ever quarrelled in that shade, for by then they had forgotten which tree was whose.`
  ],
  [
    (s) =>
      `One ${s.season}, after the long rain, a paper boat as large as a barn came down the flood and stuck fast between the church and the school. There was writing all over its hull.`,
    (s) =>
      `${s.name} read it aloud from bow to stern, on a ladder, while the children held the lamp. It was somebody's whole life, plainly told, with the spelling mistakes left in.`,
    () =>
      `The last page was empty. So they signed it, all of them, even the babies and the priest; and in the night the water rose just enough to carry it on to whoever was next.`
  ],
  [
    (s) =>
      `One ${s.season} the colour blue went missing. It left the shutters first, and then the plums, and at last the sky, which hung over the roofs like a clean plate.`,
    (s) =>
      `${s.name} asked the painters, who wept, and the children, who shrugged and pointed. Behind the school, in a jar with holes in its lid, something glowed.`,
    (s) =>
      `It had only wanted to be looked at, as it turned out. They promised to look up once a day, all of them, without hurrying; ${s.name} unscrewed the lid; and the evening came down so blue that nobody lit a lamp.`
  ]
]

const asides: ReadonlyArray<Line> = [
  () => `It was talked about for years, and each time it was told it was a little more true.`,
  () => `Nothing was quite the same afterwards, though it took them a while to say what had changed.`,
  (s) => `People brought ${s.name} soup for a month, which is how thanks were said there.`,
  (s) => `${s.name} went home the long way round, in no hurry at all.`
]

/** Words of nearly every request, which say nothing about what is asked. */
const common: ReadonlySet<string> = new Set(
  `a about all also am an and another any are as at be been but by can could describe did do does done each
  every explain few for from get give had has have he her him his how i if in into is it its just know let
  like little long make many may me more most much must my need new no not of on one only or other our out
  paragraph paragraphs please sentence sentences shall short she should show some story such summarise
  summarize summary tell text than that the their them then there these they this those three to two up us
  very want was we were what when where which who why will with word words would write you your`.split(/\s+/)
)
