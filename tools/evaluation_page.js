"use strict";
/* Tables are sorted by a column's heading: numbers by data-v, with what has none last, words by their letters. */
for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    headings.forEach((heading, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...heading.childNodes);
        heading.append(button);
        button.addEventListener("click", () => {
            const down = heading.getAttribute("aria-sort") !== "descending";
            headings.forEach(other => other.removeAttribute("aria-sort"));
            heading.setAttribute("aria-sort", down ? "descending" : "ascending");
            const key = row => row.cells[column].dataset.v;
            const compare = (a, b) => {
                const x = key(a), y = key(b);
                if (x === undefined) return a.cells[column].textContent.localeCompare(b.cells[column].textContent) * (down ? 1 : -1);
                if (x === "" || y === "") return (x === "") - (y === "");
                return down ? y - x : x - y;
            };
            body.append(...[...body.rows].sort(compare));
        });
    });
}
/* Turntables: one picture of all views side by side, moved under its frame. */
const rings = [...document.querySelectorAll(".ring")].map(ring => {
    const count = +ring.dataset.count, image = ring.firstElementChild;
    let at = 0, from = null;
    const show = turn => {
        at = ((turn % count) + count) % count;
        image.style.transform = `translateX(${-100 * Math.floor(at) / count}%)`;
    };
    ring.addEventListener("pointerdown", event => {
        from = { x: event.clientX, at };
        ring.setPointerCapture(event.pointerId);
    });
    ring.addEventListener("pointermove", event => from && show(from.at + (event.clientX - from.x) / ring.clientWidth * count / 2));
    for (const end of ["pointerup", "pointercancel"]) ring.addEventListener(end, () => from = null);
    ring.addEventListener("keydown", event => {
        if (event.key === "ArrowLeft") show(at - 1);
        if (event.key === "ArrowRight") show(at + 1);
    });
    return () => from || show(at + 1);
});
const play = document.getElementById("play");
let timer = null;
if (play) play.addEventListener("click", () => {
    timer = timer ? clearInterval(timer) : setInterval(() => rings.forEach(step => step()), 120);
    play.textContent = timer ? "stop" : "turn all";
});
