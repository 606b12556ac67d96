"""The look of the report: one sheet for light and dark, wide and narrow; no fonts or pictures from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1c2430; --soft: #667080; --line: #e2e6ec; --track: #eef1f5;
  --s0: #3566d6; --s1: #e0992f; --s2: #2a9d78; --bad: #d3554f }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1a2029; --ink: #e4e9f0; --soft: #96a1b1; --line: #2c3440;
  --track: #252d38; --s0: #6f97f5; --s1: #edb45e; --s2: #52c49d; --bad: #ee7a74 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 2.2rem 1.2rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.02em }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .1rem; letter-spacing: -.01em }
h3 { font-size: .95rem; margin: 0 0 .6rem }
.lead, .note { color: var(--soft); margin: .1rem 0 .9rem; max-width: 46rem }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: .9rem }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: .9rem; margin-top: 1.4rem }
.card, .figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; min-width: 0 }
.figure b { display: block; font-size: 1.55rem; line-height: 1.2; font-variant-numeric: tabular-nums }
.figure span { color: var(--soft); font-size: .85rem }
.bars .row { display: grid; grid-template-columns: minmax(5rem, 9rem) 1fr 4.2rem; gap: .6rem; align-items: center; margin: .28rem 0 }
.bars .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: .88rem }
.bars b, td.n, .step b { text-align: right; font-variant-numeric: tabular-nums; font-weight: 600; font-size: .88rem }
.track { display: flex; height: .8rem; background: var(--track); border-radius: 4px; overflow: hidden }
.track i { display: block; height: 100% }
.legend { display: flex; flex-wrap: wrap; gap: 1rem; margin: .2rem 0 .8rem; color: var(--soft); font-size: .85rem }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 3px; margin-right: .35rem }
i.s0, i.kept { background: var(--s0) } i.s1 { background: var(--s1) } i.s2 { background: var(--s2) } i.dropped { background: var(--bad) }
svg { width: 100%; height: auto; display: block } svg line { stroke: var(--line) } svg text { fill: var(--soft); font-size: 11px }
rect.s0, circle.s0 { fill: var(--s0) } rect.s1 { fill: var(--s1) } svg line.s0 { stroke: var(--s0); stroke-width: 2 }
polyline.law { fill: none; stroke: var(--s0); stroke-width: 1.5; opacity: .6 } polyline.ahead { stroke-dasharray: 4 4 }
.step { display: grid; grid-template-columns: 8rem 6rem 1fr 7.5rem; gap: .3rem .8rem; align-items: center; padding: .4rem 0 }
.step.first { border-top: 1px solid var(--line); margin-top: .4rem; padding-top: .7rem } .step span { font-weight: 600 }
.step:first-of-type { border-top: 0; margin-top: 0 } .step em { font-style: normal; color: var(--soft) }
.step small { grid-column: 3 / -1; color: var(--soft); overflow-wrap: anywhere }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .88rem }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th.n { text-align: right } th { color: var(--soft); font-weight: 500 }
.good { color: var(--s2) } .bad { color: var(--bad) }
.lane { display: grid; grid-template-columns: 8.5rem minmax(7rem, 1fr) minmax(9rem, 22rem); gap: .2rem .9rem; align-items: center;
  padding: .3rem 0 }
.lane + .lane { border-top: 1px solid var(--line) } .lane.heads em { color: var(--soft); font-style: normal; font-size: .85rem }
.grid .lane { grid-template-columns: 8.3rem minmax(4rem, 1fr) 10.4rem } .lanes + .note { margin-top: .8rem }
.lane > span { overflow-wrap: anywhere; font-size: .9rem } .lane small { color: var(--soft); font-variant-numeric: tabular-nums }
.lane.bad > span, .lane.bad small { color: var(--bad) } .lane.bad > span { font-weight: 600 }
.gauge { position: relative; height: 1.1rem; background: var(--track); border-radius: 4px; --mark: var(--s0) }
.gauge.off { --mark: var(--bad) } .gauge i { position: absolute; top: 0; height: 100% } .gauge .band { background: var(--s2); opacity: .28 }
.gauge .span { top: .44rem; height: .22rem; background: var(--mark); border-radius: 2px; min-width: 2px }
.gauge .dot { width: .6rem; height: .6rem; top: .25rem; margin-left: -.3rem; border-radius: 50%; background: var(--mark) }
.key { display: inline-block; width: 1.1rem; height: .7rem; border-radius: 3px; background: var(--s2); opacity: .4; margin-right: .35rem }
.track.thin { height: .5rem; margin: .12rem 0 } .grid.below { margin-top: .9rem }
.stack > * + * { margin-top: .9rem } .enough { color: var(--s2); font-weight: 600 } .lacking { color: var(--soft); font-weight: 600 }
.example { margin-bottom: .9rem } .say { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0; font-size: .9rem }
.tag { display: inline-block; color: var(--soft); font-size: .78rem; margin-right: .7rem }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: .9rem; margin-top: .6rem }
.side { border-left: 3px solid var(--s2); padding-left: .8rem; min-width: 0 } .side.no { border-color: var(--bad) }
@media (max-width: 620px) { .step { grid-template-columns: 1fr auto }
  .step .track { grid-column: 1 / -1 } .step small { grid-column: 1 / -1 }
  .step b { grid-column: 1 / -1; text-align: left } .lane, .grid .lane { grid-template-columns: 1fr } .lane.heads { display: none }
  .bars .row { grid-template-columns: 6rem 1fr 3.4rem } }
.caution { border-left: 3px solid var(--s1); padding-left: .8rem }
"""
