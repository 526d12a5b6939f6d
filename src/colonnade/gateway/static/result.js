/* The page of a finished job. Each part works without the others. */
import "./times.js";
import "./tables.js";
import "./structure.js";
import "./copy.js";
import "./plots.js";
