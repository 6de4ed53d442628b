#pragma once
// C++, used by CPDFCore only: this module stands for its flags.
