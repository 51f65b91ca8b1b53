"""The console's colours and shapes, for light and dark."""

from __future__ import annotations

PRIMARY = "#1f6f78"
WARM = "#e07a3f"
#: Chart colours that can be told apart on both backgrounds.
SERIES = ("#e07a3f", "#2a9d8f", "#7c6fd0", "#c2556d", "#5a8fd6", "#9a8c3f", "#6b8e5a", "#b06fb5")
#: Axis texts and lines that can be read on both backgrounds.
AXIS = "#868e96"
GRID = "rgba(128,128,128,.18)"

STYLE = """
<style>
:root { --line: rgba(20,40,45,.14); --soft: #f4f6f6; --dim: #5f6b70; --bar: #d3e8e6;
  --good: #2e8b57; --bad: #c0392b; --warn: #b9770e; --page: #fbfcfc; --panel: #fff;
  --accent: #1f6f78; --warm: #e07a3f; }
.body--dark { --line: rgba(255,255,255,.13); --soft: #22282b; --dim: #9aa6ab; --bar: #1d4c50;
  --good: #5cc98d; --bad: #ff8577; --warn: #f0b452; --page: #15191b; --panel: #1b2022;
  --accent: #62bdc4; --warm: #f09a66; }
body { background: var(--page) !important; font-size: 14px; }
/* The framework's own colours come in a layer, whose !important wins: so its variable is set. */
.body--dark { --q-primary: #4fb0b8 !important; --q-negative: #ff8577 !important; }
.link { color: var(--accent); }
.q-table .link { text-decoration: none; } .q-table .link:hover { text-decoration: underline; }
.plain { all: unset; cursor: pointer; color: var(--accent); }
.plain:focus-visible { outline: 2px solid var(--warm); }
.q-header { background: #1f6f78 !important; box-shadow: none; }
.body--dark .q-header { background: #17464b !important; }
.nicegui-content { padding: 0; }
.number, .q-table td { font-variant-numeric: tabular-nums; }
.card { border-radius: 8px; box-shadow: none !important; border: 1px solid var(--line);
  background: var(--panel) !important; }
.q-table__card { background: var(--panel); }
.q-table th { font-weight: 600; color: var(--dim); white-space: nowrap; }
.q-table th abbr { text-decoration: underline dotted; cursor: help; }
.short td:first-child { max-width: 0; width: 100%; overflow: hidden; text-overflow: ellipsis; }
.clickable tbody tr { cursor: pointer; }
.q-table__bottom--nodata .q-icon { display: none; }
.q-tab { padding: 0 12px; min-height: 40px; }
.q-tab-panel { padding: 12px 0 0 0; }
.text-dim, .text-grey { color: var(--dim) !important; }
.mono, .mono textarea, .mono input { font-family: ui-monospace, SFMono-Regular, Menlo, monospace;
  font-size: 12px;  white-space: pre-wrap; word-break: break-all; }
.problem { border-left: 4px solid var(--bad) !important; }
.fine { border-left: 4px solid var(--good) !important; }
.tiles { display: grid; width: 100%; gap: 8px;
  grid-template-columns: repeat(auto-fit, minmax(84px, 1fr)); }
.tile { padding: 7px 11px 8px 11px; gap: 0; min-width: 0; }
.tile .name { font-size: 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  max-width: 100%; color: var(--dim); line-height: 1.5; }
.tile .value { font-size: 18px; line-height: 1.35; white-space: nowrap;
  max-width: 100%; font-variant-numeric: tabular-nums;
  overflow: hidden; text-overflow: ellipsis; }
.section { font-size: 15px; font-weight: 600; }
.bars { display: grid; gap: 2px; }
.bars .row { position: relative; display: flex; justify-content: space-between; gap: 12px;
  padding: 2px 8px; border-radius: 4px; font-size: 13px; overflow: hidden; line-height: 1.5; }
.bars .fill { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: 4px; }
.bars .left { position: relative; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.bars .right { position: relative; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bars .none { color: var(--dim); font-size: 13px; padding: 2px 8px; }
.chip { display: inline-block; border-radius: 9px; padding: 0 8px; font-size: 12px;
  line-height: 18px; font-weight: 600; white-space: nowrap; background: var(--soft); }
.chip.good { color: var(--good); }
.chip.bad { color: var(--bad); } .chip.warn { color: var(--warn); }
.chip.dim { color: var(--dim); }
.messages td { vertical-align: top; font-size: 12.5px; }
.messages td:nth-child(1), .messages td:nth-child(2), .messages td:nth-child(3) {
  white-space: nowrap; color: var(--dim); }
.messages td:nth-child(4) { max-width: 300px; min-width: 120px; word-break: break-word; }
.messages td:nth-child(5) { word-break: break-word; font-family: ui-monospace, Menlo, monospace;
  font-size: 12px; }
.settings td { vertical-align: top; }
.settings td:nth-child(5) { color: var(--dim); }
.settings td { white-space: nowrap; }
.settings td:nth-child(5) { white-space: normal; }
.settings td:nth-child(2), .settings td:nth-child(4) { max-width: 190px; overflow: hidden;
  text-overflow: ellipsis; }
.feed td.mono { word-break: break-word; }
.feed { width: 100%; border-collapse: collapse; font-size: 13px; }
.feed td, .feed th { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left;
  font-variant-numeric: tabular-nums; }
.feed th { color: var(--dim); font-weight: 600; font-size: 12px; }
.feed.tight td { white-space: nowrap; padding: 4px 8px; }
.events { max-height: 260px; overflow-y: auto; width: 100%; }
.events .feed td { padding: 3px 8px 3px 0; }
.feed .num { text-align: right; }
.grid3 { display: grid; grid-template-columns: repeat(auto-fill, minmax(360px, 1fr)); gap: 12px;
  width: 100%; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 12px;
  width: 100%; }
/* A picture, and what happened beside it; below it where both would be too small to read. */
.beside { display: grid; width: 100%; gap: 24px;
  grid-template-columns: minmax(0, 2fr) minmax(240px, 1fr); }
@media (max-width: 1200px) { .beside { grid-template-columns: minmax(0, 1fr); gap: 12px; }
  .tile { padding: 7px 8px 8px 8px; } .tile .value { font-size: 15px; line-height: 1.6; } }
.wide svg { width: 100%; height: auto; display: block; }
svg text { fill: currentColor; font-size: 11px; font-family: inherit; }
svg text.dim { fill: var(--dim); }
:focus-visible { outline: 2px solid var(--warm); outline-offset: 1px; }
</style>
"""
