/**
 * What models write in the ReAct form, well and badly, and what it says.
 *
 * The shapes are those of the tests and issues of LangChain, LlamaIndex, CrewAI, smolagents, Dify, DB-GPT and
 * DSPy; the words are ours.
 */
import type { Said } from "../../src/agent/ReAct.ts"

export interface Case {
  readonly name: string
  readonly text: string
  /** Tokens of one phase that follow each other are joined. Of an `Unreadable`, the first words. */
  readonly said: ReadonlyArray<Said>
  /** What is left unread, if the generation is cut off. */
  readonly unread?: string
}

export const tools: ReadonlySet<string> = new Set(["search", "calculator", "list_files", "write_file", "_private"])

const token = (phase: "thought" | "answer", text: string): Said => ({ _tag: "Token", text, phase })
const whole = (content: string): Said => ({ _tag: "Thought", content })
const thought = (content: string): ReadonlyArray<Said> => [token("thought", content), whole(content)]
const answer = (content: string): ReadonlyArray<Said> => [token("answer", content), { _tag: "Answer", content }]
const action = (name: string, input: unknown): Said => ({ _tag: "Action", name, input })
const unreadable = (why: string): Said => ({ _tag: "Unreadable", why })

const of = (name: string, text: string, said: ReadonlyArray<Said>, unread?: string): Case => ({
  name,
  text,
  said,
  ...(unread === undefined ? undefined : { unread })
})

const longPreamble = "I would be very happy to look up the population of the city of Paris for you."

const wellFormed: ReadonlyArray<Case> = [
  of(
    "an action with its input",
    'Thought: I need the population.\nAction: search\nAction Input: {"query": "Paris"}',
    [...thought("I need the population."), action("search", { query: "Paris" })],
    ""
  ),
  of(
    "a call",
    'Thought: multiply\nAction: calculator("25 * 4")',
    [...thought("multiply"), action("calculator", "25 * 4")],
    ""
  ),
  of(
    "a call with names",
    'Thought: look\nAction: search(query="x", n=3)',
    [...thought("look"), action("search", { query: "x", n: 3 })],
    ""
  ),
  of("a final answer", "Thought: I know this.\nFinal Answer: It is 42.", [
    ...thought("I know this."),
    ...answer("It is 42.")
  ]),
  of("an answer of many lines", "Thought: ok\nFinal Answer: Here it is:\n\n- one\n- two\n", [
    ...thought("ok"),
    ...answer("Here it is:\n\n- one\n- two")
  ]),
  of("a thought of many lines", "Thought: one\n\n  two\nthree\nFinal Answer: x", [
    ...thought("one\n\n  two\nthree"),
    ...answer("x")
  ]),
  of(
    "blank lines between",
    'Thought: one\n\nAction: search\n\nAction Input: {"a": 1}\n',
    [...thought("one"), action("search", { a: 1 })],
    "\n"
  ),
  of(
    "carriage returns",
    "Thought: one\r\nAction: search\r\nAction Input: {\r\n}\r\n",
    [...thought("one"), action("search", {})],
    "\r\n"
  ),
  of("no thought", 'Action: search\nAction Input: {"q": "x"}', [action("search", { q: "x" })], ""),
  of("no thought, an answer", "Final Answer: 42", answer("42")),
  of("the short spelling of the answer", "Thought: done\nAnswer: 42", [...thought("done"), ...answer("42")]),
  of("a tool without input", "Thought: list\nAction: list_files\n", [...thought("list"), action("list_files", {})]),
  of("an empty object as the input", "Action: list_files\nAction Input: {}", [action("list_files", {})], ""),
  of(
    "input on its own lines",
    'Action: search\nAction Input:\n{\n  "query": "a",\n  "tags": ["x", {"y": 1}]\n}\nI wait.',
    [action("search", { query: "a", tags: ["x", { y: 1 }] })],
    "\nI wait."
  ),
  of("markers packed in one line each", "Thought:a\nFinal Answer:b", [...thought("a"), ...answer("b")])
]

const noMarker: ReadonlyArray<Case> = [
  of("a short answer", "Paris.", answer("Paris.")),
  of(
    "a long answer",
    `${longPreamble} It has two million people.`,
    answer(`${longPreamble} It has two million people.`)
  ),
  of("an answer of many lines", "Hello!\n\nHow are you?\n", answer("Hello!\n\nHow are you?")),
  of(
    "an answer that begins as a marker does",
    "Thoughtful people act.\nAction films are fun.",
    answer("Thoughtful people act.\nAction films are fun.")
  ),
  of("a word that is a marker without its colon", "Action", answer("Action")),
  of("half a marker", "Final Ans", answer("Final Ans")),
  of("an answer in a code block", "```python\nprint(1)\n```", answer("```python\nprint(1)\n```")),
  of("JSON", '{"action": "search", "action_input": "x"}', answer('{"action": "search", "action_input": "x"}')),
  of("a rule and a list", "---\n- one\n1. two\n### three", answer("---\n- one\n1. two\n### three")),
  of(
    "a line before the action is a thought",
    'Let me look.\nAction: search\nAction Input: {"q": 1}',
    [...thought("Let me look."), action("search", { q: 1 })],
    ""
  ),
  of("a line before the thought", "Sure!\n\nThought: easy\nFinal Answer: 4", [
    ...thought("Sure!\neasy"),
    ...answer("4")
  ]),
  of(
    "an action after a sentence",
    "Let me look. Action: search(x)",
    [...thought("Let me look."), action("search", "x")],
    ""
  ),
  of(
    "an action after much text makes it a thought",
    `${longPreamble}\n\nAction: search\nAction Input: {}`,
    [token("answer", longPreamble), whole(longPreamble), action("search", {})],
    ""
  ),
  of(
    "an action in a line of much text",
    `${longPreamble} Action: search("x")`,
    [token("answer", longPreamble), whole(longPreamble), action("search", "x")],
    ""
  ),
  of(
    "a thought and an action after much text",
    `${longPreamble}\nThought: go\nAction: search(1)`,
    [token("answer", longPreamble), token("thought", "go"), whole(`${longPreamble}\ngo`), action("search", 1)],
    ""
  ),
  of("a final answer after much text", `${longPreamble}\nThought: go\nFinal Answer: 2`, [
    token("answer", longPreamble),
    ...thought("go"),
    token("answer", "\n2"),
    { _tag: "Answer", content: `${longPreamble}\n2` }
  ]),
  of("a thought at the end of much text", `${longPreamble}\nThought: go`, [
    token("answer", longPreamble),
    ...thought("go"),
    { _tag: "Answer", content: longPreamble }
  ]),
  of("an unknown tool after much text", `${longPreamble}\nAction: fetch\nAction Input: 1`, [
    token("answer", longPreamble),
    whole(longPreamble),
    action("fetch", 1)
  ]),
  of(
    "an action that is none of ours in much text",
    `${longPreamble}\nAction: Call your doctor (now).`,
    answer(`${longPreamble}\nAction: Call your doctor (now).`)
  ),
  of("an observation after much text", `${longPreamble}\nObservation: fiction`, answer(longPreamble), " fiction"),
  of("white space around it", "\n\n  Hello  there \n ", answer("Hello  there"))
]

const markers: ReadonlyArray<Case> = [
  of("bold", "**Thought:** a\n**Final Answer:** **b** is", [...thought("a"), ...answer("**b** is")]),
  of("bold with the colon outside", "**Thought**: a\n**Answer**: b", [...thought("a"), ...answer("b")]),
  of("italic, and code", "_Thought:_ a\n`Action:` `list_files`\n", [...thought("a"), action("list_files", {})]),
  of("numbered", 'Thought 1: a\nAction 1: search\nAction Input 1: "x"', [...thought("a"), action("search", "x")]),
  of("in capitals", "THOUGHT: a\nFINAL ANSWER: b", [...thought("a"), ...answer("b")]),
  of("in small letters", "thought: a\nfinal answer: b", [...thought("a"), ...answer("b")]),
  of("indented", "  Thought: a\n\tAction: search\n    Action Input: {}", [...thought("a"), action("search", {})], ""),
  of("full-width colons", "Thought：a\nAction：search\nAction Input：{}", [...thought("a"), action("search", {})], ""),
  of("underscores", "Thought: a\nAction: search\nAction_Input: {}", [...thought("a"), action("search", {})], ""),
  of("headings", "## Thought\n\na\n\n## Final Answer\n\nb", [...thought("a"), ...answer("b")]),
  of(
    "bold lines without a colon",
    "**Thought**\na\n**Action**\nsearch\n**Action Input**\n{}",
    [...thought("a"), action("search", {})],
    ""
  ),
  of("headings and carriage returns", "## Thought\r\na\r\n**Final Answer**\r\nb", [...thought("a"), ...answer("b")]),
  of(
    "numbered in the middle",
    "Thought: a\nAction 1 Input: {}",
    [...thought("a"), unreadable("You wrote an Action Input without")],
    " {}"
  ),
  of("a list", "1. Thought: a\n2. Final Answer: b", [...thought("a"), ...answer("b")]),
  of("quoted", "> Thought: a\n> Final Answer: b", [...thought("a"), ...answer("b")]),
  of("spaces before the colon", "Thought : a\nFinal  Answer : b", [...thought("a"), ...answer("b")]),
  of("the name on the next line", "Action:\nsearch\nAction Input:\n\n{}", [action("search", {})], ""),
  of("bold to the end of the line", "**Thought: a *b* **\nx\n**Final Answer: 4 ** 2**", [
    ...thought("a *b* \nx"),
    ...answer("4 ** 2")
  ]),
  of("twice", "Thought: Thought: a\nThought: b\nFinal Answer: c", [...thought("a\nb"), ...answer("c")]),
  of(
    "all in one line",
    'Thought: I look. Action: search Action Input: {"q": 1}',
    [...thought("I look."), action("search", { q: 1 })],
    ""
  ),
  of("the answer after a sentence", "Thought: I know it. Final Answer: 42", [
    ...thought("I know it."),
    ...answer("42")
  ]),
  of("named in a sentence", "Thought: I write Action: search then, or Final Answer: x\nFinal Answer: y", [
    ...thought("I write Action: search then, or Final Answer: x"),
    ...answer("y")
  ]),
  of("an observation named in a thought", "Thought: I know. Observation: it is red\nFinal Answer: red", [
    ...thought("I know. Observation: it is red"),
    ...answer("red")
  ]),
  of("long lines that only look like one", `Thought: a\n${"- ".repeat(40)}Action: b\nFinal Answer: c`, [
    ...thought(`a\n${"- ".repeat(40)}Action: b`),
    ...answer("c")
  ])
]

const inputs: ReadonlyArray<Case> = [
  of(
    "in a fence",
    'Action: search\nAction Input: ```json\n{"q": "x"}\n```\nDone',
    [action("search", { q: "x" })],
    "\n```\nDone"
  ),
  of(
    "in a fence, in one line",
    'Action: search\nAction Input: ```{"q": "x"}```',
    [action("search", { q: "x" })],
    "```"
  ),
  of(
    "in a fence without the marker",
    'Action: search\n```json\n{"q": "x"}\n```',
    [action("search", { q: "x" })],
    "\n```"
  ),
  of(
    "text in a fence",
    "Action: search\nAction Input:\n```sql\nSELECT a\n  FROM b\n```\nx",
    [action("search", "SELECT a\n  FROM b")],
    "\nx"
  ),
  of(
    "text in a fence that stays open",
    "Action: search\nAction Input:\n```\nSELECT a\nObservation: b",
    [action("search", "SELECT a")],
    " b"
  ),
  of(
    "code in a fence",
    "Action: calculator\nAction Input:\n```python\nprint({1: [2]})\n```",
    [action("calculator", "print({1: [2]})")],
    ""
  ),
  of("in backquotes", 'Action: search\nAction Input: `{"q": 1}`', [action("search", { q: 1 })], "`"),
  of("text in backquotes", "Action: search\nAction Input: `x y`\n", [action("search", "x y")], ""),
  of(
    "a bare line",
    "Action: search\nAction Input: what is the time in SF?\nI wait.",
    [action("search", "what is the time in SF?")],
    "I wait."
  ),
  of("a bare line at the end", "Action: search\nAction Input: python", [action("search", "python")]),
  of("a number", "Action: calculator\nAction Input: 42\n", [action("calculator", 42)], ""),
  of(
    "a string",
    'Action: search\nAction Input: "home runs"\nObservation: 34',
    [action("search", "home runs")],
    "Observation: 34"
  ),
  of("quoted words", 'Action: search\nAction Input: "home" AND "runs"\n', [action("search", '"home" AND "runs"')], ""),
  of("none", "Action: list_files\nAction Input: None\n", [action("list_files", {})], ""),
  of("no input", "Action: list_files\nAction Input:\nObservation: x", [action("list_files", {})], " x"),
  of(
    "an observation in the place of the input",
    "Action: list_files\nObservation: a.txt\nThought: b",
    [action("list_files", {})],
    " a.txt\nThought: b"
  ),
  of("an array", "Action: calculator\nAction Input: [1, [2]]\n", [action("calculator", [1, [2]])], "\n"),
  of(
    "braces and markers in strings",
    'Action: write_file\nAction Input: {"text": "a } \\" {\\nAction: b", "more": "}"} x',
    [action("write_file", { text: 'a } " {\nAction: b', more: "}" })],
    " x"
  ),
  of(
    "raw lines in a string",
    'Action: write_file\nAction Input: {"text": "a\nObservation: b\nFinal Answer: c"}',
    [action("write_file", { text: "a\nObservation: b\nFinal Answer: c" })],
    ""
  ),
  of(
    "a key that begins as an observation does",
    'Action: search\nAction Input: {"a": 1,\nObserver: 2}',
    [action("search", { a: 1, Observer: 2 })],
    ""
  ),
  of(
    "as Python writes it",
    "Action: search\nAction Input: {'pages': ['Coca-Cola'], 'all': True, 'q': None}",
    [action("search", { pages: ["Coca-Cola"], all: true, q: null })],
    ""
  ),
  of(
    "prose before the input",
    'Action: search\nI look for it.\nAction Input: {"q": 1}',
    [action("search", { q: 1 })],
    ""
  ),
  of("prose in its place", "Action: search\nthe time in SF\nThought: x", [action("search", "the time in SF")], " x"),
  of("right after the name", 'Action: search {"q": 1}', [action("search", { q: 1 })], ""),
  of("under the name", 'Action: search\n{"q": 1}\n', [action("search", { q: 1 })], "\n"),
  of(
    "one JSON object",
    'Thought: a\nAction:\n```json\n{"action": "search", "action_input": {"q": 1}}\n```',
    [...thought("a"), action("search", { q: 1 })],
    "\n```"
  ),
  of(
    "one JSON object with other names",
    'Action: {"name": "search", "arguments": "{\\"q\\": 1}"}',
    [action("search", { q: 1 })],
    ""
  ),
  of("one JSON object that answers", 'Action: {"action": "Final Answer", "action_input": "4"}', answer("4"), ""),
  of(
    "one JSON object of a function",
    'Action: {"type": "function", "function": {"name": "search", "arguments": {"q": 1}}}',
    [action("search", { q: 1 })],
    ""
  ),
  of(
    "a list of actions",
    'Action: [{"name": "search", "arguments": {"q": 1}}, {"name": "x"}]',
    [action("search", { q: 1 })],
    ', {"name": "x"}]'
  )
]

const calls: ReadonlyArray<Case> = [
  of("JSON in it, after a space", 'Action: search ({"input": "x"})', [action("search", { input: "x" })], ""),
  of("text in it", "Action: calculator(25 * (4 + 1)) and then", [action("calculator", "25 * (4 + 1)")], " and then"),
  of(
    "quotes and parentheses in it",
    `Action: search('it\\'s (', n=None)`,
    [action("search", `'it\\'s (', n=None`)],
    ""
  ),
  of("an apostrophe", "Action: search(what's new)\n", [action("search", "what's new")], "\n"),
  of(
    "over lines",
    'Action: search(\n  query="a (b",\n  where=["x", "y"],\n  deep=True,\n  how=very well,\n)\n',
    [action("search", { query: "a (b", where: ["x", "y"], deep: true, how: "very well" })],
    "\n"
  ),
  of("values without names", "Action: calculator(1, 'a')", [action("calculator", [1, "a"])], ""),
  of(
    "brackets",
    "Action: search[Colorado orogeny]\nObservation 1: x",
    [action("search", "Colorado orogeny")],
    "\nObservation 1: x"
  ),
  of("nothing in it", "Action: list_files()\nObservation: x", [action("list_files", {})], " x"),
  of("nothing in it, and an input", 'Action: search()\nAction Input: {"q": 1}', [action("search", { q: 1 })], ""),
  of("a remark", 'Action: search (on the web)\nAction Input: {"q": 1}', [action("search", { q: 1 })], ""),
  of("a remark that is the input", "Action: calculator (25 * 4)", [action("calculator", "25 * 4")]),
  of(
    "an observation in quotes",
    'Action: write_file("x\nObservation: y")',
    [action("write_file", "x\nObservation: y")],
    ""
  ),
  of("an equation in an argument", "Action: search(q=a=b)", [action("search", { q: "a=b" })], ""),
  of("an equation", "Action: calculator(x == 3)", [action("calculator", "x == 3")], "")
]

const names: ReadonlyArray<Case> = [
  of("unknown", 'Action: fly_to_moon\nAction Input: {"a": 1}', [action("fly_to_moon", { a: 1 })], ""),
  of("unknown, a call", "Action: fly(1)", [action("fly", 1)], ""),
  of("in other letters", "Action: Search\nAction Input: {}", [action("search", {})], ""),
  of("with spaces", "Action: List Files\n", [action("list_files", {})]),
  of("in brackets", "Action: [search]\nAction Input: {}", [action("search", {})], ""),
  of("in quotes, with a full stop", 'Action: "search".\nAction Input: {}', [action("search", {})], ""),
  of("with words after it", "Action: search for Paris\nAction Input: {}", [action("search", {})], ""),
  of("that begins with _", "Action: _private\nAction Input: {}", [action("_private", {})], ""),
  of("a sentence", "Thought: a\nAction: I will have a look at it\n", [
    ...thought("a"),
    action("I will have a look at it", {})
  ])
]

const endings: ReadonlyArray<Case> = [
  of("no action, then the answer", "Thought: a\nAction: None\nFinal Answer: b", [...thought("a"), ...answer("b")]),
  of("no action, then text", "Thought: a\n\nAction: None\nAction Input: None\n\nPlease ask me.", [
    ...thought("a"),
    ...answer("Please ask me.")
  ]),
  of("no action, and no answer", "Thought: a\nAction: None (direct response required)", [
    ...thought("a"),
    unreadable("You named no tool")
  ]),
  of("N/A", "Action: N/A\nThought: b\nFinal Answer: c", [...thought("b"), ...answer("c")]),
  of("Finish", "Thought 2: a\nAction 2: Finish[Rome [Italy]]\n", [...thought("a"), ...answer("Rome [Italy]")], "\n"),
  of("finish with a name", 'Action: finish(answer="Rome, Italy")', answer("Rome, Italy"), ""),
  of(
    "finish after much text",
    `${longPreamble}\nAction: Finish[42]`,
    [token("answer", `${longPreamble}\n42`), { _tag: "Answer", content: `${longPreamble}\n42` }],
    ""
  ),
  of("finish with a number", "Action: Finish[42]", answer("42"), ""),
  of("the answer as an action", "Action: Final Answer\nAction Input: It is\n42.", answer("It is\n42.")),
  of("an empty finish", "Action: Finish[]", [unreadable("Your Final Answer is empty")]),
  of("an answer twice", "Final Answer: 42\nFinal Answer: 42", answer("42"), " 42"),
  of("an answer that goes on thinking", "Final Answer: 42\n\nThought: more", answer("42"), " more"),
  of(
    "an answer, then an action",
    "Final Answer: I look.\nAction: search\nAction Input: {}",
    answer("I look."),
    "Action Input: {}"
  ),
  of("an answer, then an observation", "Final Answer: red\nObservation: x", answer("red"), " x")
]

const insideAnswers: ReadonlyArray<Case> = [
  of(
    "in a code block",
    "Final Answer: write\n```text\nThought: a\nAction: search\nObservation: b\n```\nend",
    answer("write\n```text\nThought: a\nAction: search\nObservation: b\n```\nend")
  ),
  of(
    "in a code block of tildes with backquotes in it",
    "Final Answer:\n~~~\n```\nObservation: b\n~~~\nend",
    answer("~~~\n```\nObservation: b\n~~~\nend")
  ),
  of("after a code block", "Final Answer:\n```\nx\n```\nObservation: b", answer("```\nx\n```"), " b"),
  of("after code in a line", "Final Answer:\n```x``` is it\nObservation: b", answer("```x``` is it"), " b"),
  of(
    "in JSON",
    'Final Answer: {"log": "a\nObservation: b",\n"c": "Action: search"}\ndone',
    answer('{"log": "a\nObservation: b",\n"c": "Action: search"}\ndone')
  ),
  of("after JSON", 'Final Answer: {"a": 1}\nObservation: b', answer('{"a": 1}'), " b"),
  of(
    "in the middle of a line",
    "Final Answer: The word Action: has 7 characters. Action: search is one.",
    answer("The word Action: has 7 characters. Action: search is one.")
  ),
  of("on its own line", "Final Answer: Thought: what a word", answer("Thought: what a word")),
  of(
    "in other letters",
    "Final Answer: a\n**Observation:** red\nobservation: blue\n  Observation: green\nAnswer: b",
    answer("a\n**Observation:** red\nobservation: blue\n  Observation: green\nAnswer: b")
  ),
  of(
    "an action that is no tool",
    "Final Answer: plan\nAction: call mum\n- done",
    answer("plan\nAction: call mum\n- done")
  ),
  of("an action at the end", "Final Answer: plan\nAction: rest", answer("plan\nAction: rest")),
  of("in a code block of a thought", "Thought: as in\n```\nAction: search\n```\nso\nFinal Answer: b", [
    ...thought("as in\n```\nAction: search\n```\nso"),
    ...answer("b")
  ])
]

const wrappers: ReadonlyArray<Case> = [
  of(
    "a think tag, then the form",
    "<think>\nHm.\nObservation: it is 3 < 4\n</think>\n\nThought: go\nAction: search(1)",
    [...thought("Hm.\nObservation: it is 3 < 4\ngo"), action("search", 1)],
    ""
  ),
  of("a think tag, then the answer", "<think>Hm. Action: x</think>Four.", [
    ...thought("Hm. Action: x"),
    ...answer("Four.")
  ]),
  of(
    "a think tag, then words, then the form",
    "<think>a</think>Let me.\nAction: search(1)",
    [...thought("a\nLet me."), action("search", 1)],
    ""
  ),
  of("the end of one after much text", `${longPreamble}\n</think>\nFour.`, answer(`${longPreamble}\nFour.`)),
  of("a think tag in itself", "<think>a <think> b</think>c", [...thought("a <think> b"), ...answer("c")]),
  of("a fence around an answer with backquotes", "```\nFinal Answer: a\n- ```\nb\n```", answer("a\n- ```\nb")),
  of("an empty think tag", "<think>\n\n</think>\n\nFour.", answer("Four.")),
  of("only the end of one", "So it is four.\n</think>\nFour.", [...thought("So it is four."), ...answer("Four.")]),
  of("a think tag that stays open", "<think>I go on and on", [
    ...thought("I go on and on"),
    unreadable("Your Thought was followed by neither")
  ]),
  of("nothing but a think tag", "<thinking>a</thinking>", [
    ...thought("a"),
    unreadable("Your Thought was followed by neither")
  ]),
  of("no tag", "<thing>a</thing>", answer("<thing>a</thing>")),
  of(
    "a fence around all",
    "```\nThought: a\nAction: search\nAction Input: {}\n```",
    [...thought("a"), action("search", {})],
    "\n```"
  ),
  of("a fence around an answer", "```text\nThought: a\nFinal Answer: b\n```\n", [...thought("a"), ...answer("b")], "")
]

const hostile: ReadonlyArray<Case> = [
  of("nothing", "", [unreadable("You wrote nothing")]),
  of("white space", " \n\t\r\n ", [unreadable("You wrote nothing")]),
  of("a thought that never ends", "Thought: I think,\nand I think", [
    ...thought("I think,\nand I think"),
    unreadable("Your Thought was followed by neither")
  ]),
  of("a marker alone", "Thought:", [unreadable("Your Thought was followed by neither")]),
  of("a bold marker alone", "**Thought:", [unreadable("Your Thought was followed by neither")]),
  of("an empty answer", "Thought: a\nFinal Answer: \n", [...thought("a"), unreadable("Your Final Answer is empty")]),
  of("an empty answer, then one", "Final Answer:\nThought: a\nFinal Answer: b", [...thought("a"), ...answer("b")]),
  of("an observation first", "Observation: fiction", [unreadable("You wrote an Observation")], " fiction"),
  of(
    "an observation after a thought",
    "Thought: a\nObservation: fiction",
    [...thought("a"), unreadable("You wrote an Observation")],
    " fiction"
  ),
  of(
    "an input without an action",
    "Thought: a\nAction Input: {}",
    [...thought("a"), unreadable("You wrote an Action Input without")],
    " {}"
  ),
  of("an action without a name", "Action:\nAction Input: {}", [unreadable("Your Action does not name a tool")], " {}"),
  of("an action without anything", "Thought: a\nAction: ", [
    ...thought("a"),
    unreadable("Your Action does not name a tool")
  ]),
  of("an object without a name", 'Action: {"q": 1}', [unreadable("Your Action does not name a tool")], ""),
  of("JSON that stays open", 'Action: search\nAction Input: {"q": "x"', [
    unreadable("The input of your Action is not complete")
  ]),
  of(
    "JSON that stays open, and fiction",
    'Action: search\nAction Input: {"q": "x"\nObservation: y',
    [unreadable("The input of your Action is not complete")],
    " y"
  ),
  of("a call that stays open", 'Action: search("x\nThought: y', [
    unreadable("The input of your Action is not complete")
  ]),
  of(
    "a call that stays open, and fiction",
    "Action: search(x\nObservation: y",
    [unreadable("The input of your Action is not complete")],
    " y"
  ),
  of(
    "a second action",
    "Action: search(1)\nAction: search(2)\nFinal Answer: 3",
    [action("search", 1)],
    "\nAction: search(2)\nFinal Answer: 3"
  ),
  of(
    "a whole story",
    'Thought: a\nAction: search\nAction Input: {"q": 1}\nObservation: b\nThought: c\nFinal Answer: d',
    [...thought("a"), action("search", { q: 1 })],
    "\nObservation: b\nThought: c\nFinal Answer: d"
  ),
  of(
    "brackets that close nothing",
    "Thought: ]})\nAction: search(])\nFinal Answer: x",
    [...thought("]})"), action("search", "]")],
    "\nFinal Answer: x"
  ),
  of("a prototype's name", "Action: search(__proto__=1)\n", [action("search", JSON.parse('{"__proto__": 1}'))], "\n"),
  of("no letters", "💧 水\nThought：滴\nFinal Answer：\u3000河", [...thought("💧 水\n滴"), ...answer("河")])
]

const groups: Readonly<Record<string, ReadonlyArray<Case>>> = {
  "well formed": wellFormed,
  "no marker": noMarker,
  markers,
  inputs,
  calls,
  names,
  endings,
  "inside of answers": insideAnswers,
  wrappers,
  hostile
}

export const cases: ReadonlyArray<Case> = Object.entries(groups).flatMap(([group, cases]) =>
  cases.map((one) => ({ ...one, name: `${group}: ${one.name}` }))
)
